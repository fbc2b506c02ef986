/* wav2edge-c: recognises clips and streams with a wav2edge bundle; the small sister of the command `wav2edge`. */

#define _POSIX_C_SOURCE 200809L

#include "wav2edge.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char USAGE[] =
    "usage: wav2edge-c run BUNDLE FILE.wav... [options]     clips, and longer recordings in segments\n"
    "       wav2edge-c stream BUNDLE [FILE.wav|-] [options] speech while it comes: WAV, or raw samples, 16-bit\n"
    "       wav2edge-c verify BUNDLE [options]              digests, certificates and golden outputs\n"
    "\n"
    "  --json              one JSON object per line\n"
    "  --threads N         (default: physical cores)\n"
    "  --ort PATH          ONNX Runtime's library (default: WAV2EDGE_ORT, or the system's)\n"
    "clips and streams:\n"
    "  --variant NAME      int8, fp32, ... (default: the bundle's own)\n"
    "  --language NAME     of a bundle in several languages\n"
    "  --reject BELOW      reject answers with less confidence, from 0 to 1\n"
    "  --decoder JSON      greedy, or as in a manifest: '{\"grammar\": {\"phrases\": [\"stop\"]}}'\n"
    "clips:\n"
    "  --longest-segment S, --no-segments\n"
    "streams:\n"
    "  --kind KIND         auto, cached, two-pass or windowed\n"
    "  --chunk MS          from one answer to the next\n"
    "  --silence S         that ends an utterance (default: 0.7)\n"
    "  --vad NAME          energy, or none: everything is speech\n"
    "  --finals            no partial answers\n"
    "  --rate HZ, --channels N   of raw samples (default: 16000, 1)\n"
    "\n"
    "exit codes: 0 all answered, 1 some inputs failed, 2 wrong usage, 3 bundle or device cannot be used\n";

/* What the command line says. */
struct request {
    const struct verb *verb;
    w2e_options engine;
    w2e_stream_options stream;
    bool json, finals, no_segments;
    int channels; /* 0, as for the rate of the stream: not given */
    const char *bundle;
    char **files;
    int file_count;
};

enum { RUN = 1, STREAM = 2, VERIFY = 4 };

struct verb {
    char name[8];
    int (*answer)(struct request *);
    int mark, most_files;
};

/* Tells what is wrong; an option of the library is called by its name here. */
static void tell(const char *message)
{
    static const char *const NAMES[][2] = {{"--longest-segment", "longest_segment_s"}, {"--silence", "silence_s"}};
    const char *option = "";
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        size_t length = strlen(NAMES[i][1]);
        if (strncmp(message, NAMES[i][1], length) != 0) continue;
        option = NAMES[i][0];
        message += length;
    }
    fprintf(stderr, "wav2edge-c: %s%s\n", option, message);
}

/* Writes what is answered so far; where that cannot be done, the command ends. */
static void flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return;
    fprintf(stderr, "wav2edge-c: input or output: %s\n", strerror(errno));
    exit(1);
}

/* The command line ------------------------------------------------------------------------------------------------- */

/* A number; false: the text is something else. */
static bool number_of(const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end > text && !*end;
}

/* Says what is wrong with a word; always false. */
static bool wrong(const char *word, const char *what, const char *detail)
{
    fprintf(stderr, "wav2edge-c: %s: %s%s; see wav2edge-c --help\n", word, what, detail);
    return false;
}

/* Takes an option, which begins at `words[0]`, and moves behind it. */
static bool take_option(struct request *request, char ***words, char **end)
{
    enum { FLAG, TEXT, NUMBER, WHOLE, POSITIVE = 4 }; /* 0 may mean the default to the library */
    w2e_options *engine = &request->engine;
    w2e_stream_options *stream = &request->stream;
    const struct {
        const char *name;
        int kind, verbs;
        void *place;
    } OPTIONS[] = {
        {"--json", FLAG, RUN | STREAM | VERIFY, &request->json},
        {"--threads", WHOLE | POSITIVE, RUN | STREAM | VERIFY, &engine->threads},
        {"--ort", TEXT, RUN | STREAM | VERIFY, &engine->ort_library},
        {"--variant", TEXT, RUN | STREAM, &engine->variant},
        {"--language", TEXT, RUN | STREAM, &engine->language},
        {"--reject", NUMBER, RUN | STREAM, &engine->reject_below},
        {"--decoder", TEXT, RUN | STREAM, &engine->decoder},
        {"--longest-segment", NUMBER | POSITIVE, RUN, &engine->longest_segment_s},
        {"--no-segments", FLAG, RUN, &request->no_segments},
        {"--kind", TEXT, STREAM, &stream->kind},
        {"--chunk", WHOLE | POSITIVE, STREAM, &stream->chunk_ms},
        {"--silence", NUMBER, STREAM, &stream->silence_s},
        {"--vad", TEXT, STREAM, &stream->vad},
        {"--finals", FLAG, STREAM, &request->finals},
        {"--rate", WHOLE | POSITIVE, STREAM, &stream->rate_hz},
        {"--channels", WHOLE | POSITIVE, STREAM, &request->channels},
    };
    const char *name = *(*words)++;
    size_t i = 0, count = sizeof OPTIONS / sizeof *OPTIONS;
    while (i < count && (strcmp(name, OPTIONS[i].name) != 0 || !(OPTIONS[i].verbs & request->verb->mark))) i++;
    if (i == count) return wrong(name, "unknown option of ", request->verb->name);
    void *place = OPTIONS[i].place;
    int kind = OPTIONS[i].kind & WHOLE;
    if (kind == FLAG) {
        *(bool *)place = true;
        return true;
    }
    if (*words == end) return wrong(name, "needs a value", "");
    const char *text = *(*words)++;
    double value;
    if (kind == TEXT) {
        *(const char **)place = text;
        return true;
    }
    if (!number_of(text, &value)) return wrong(name, "no number: ", text);
    if (kind == WHOLE && !(value == floor(value) && fabs(value) <= 1e9)) return wrong(name, "no whole number: ", text);
    if (OPTIONS[i].kind & POSITIVE && !(value > 0)) return wrong(name, "give more than 0, not ", text);
    if (kind == WHOLE) *(int *)place = (int)value;
    else *(double *)place = value;
    return true;
}

/* Reads the words behind the verb; false: they are wrong. */
static bool parse(struct request *request, const struct verb *verb, char **words, char **end)
{
    *request = (struct request){.verb = verb, .engine = w2e_default_options()};
    request->stream = w2e_default_stream_options();
    request->stream.rate_hz = 0;
    request->files = words; /* files are moved to the front */
    while (words < end) {
        if (strncmp(*words, "--", 2) == 0) {
            if (!take_option(request, &words, end)) return false;
            continue;
        }
        char *word = *words++;
        if (!request->bundle) request->bundle = word;
        else if (request->file_count == verb->most_files) return wrong(word, "one word too many for ", verb->name);
        else request->files[request->file_count++] = word;
    }
    if (!request->bundle) tell("no BUNDLE; give the folder that `wav2edge export` wrote");
    return request->bundle;
}

/* JSON ------------------------------------------------------------------------------------------------------------- */

/* Bytes of the character of UTF-8 at a place; 0: there is none. */
static int character_bytes(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    int more = bytes[0] < 0x80 ? 0 : bytes[0] < 0xC0 ? -1 : bytes[0] < 0xE0 ? 1 : bytes[0] < 0xF0 ? 2 : 3;
    static const long LEAST[] = {0, 0x80, 0x800, 0x10000};
    long code = bytes[0] & (more > 1 ? 0x0F : more ? 0x1F : 0x7F);
    for (int i = 1; i <= more; i++) {
        if ((bytes[i] & 0xC0) != 0x80) return 0;
        code = code << 6 | (bytes[i] & 0x3F);
    }
    bool fine = more >= 0 && code >= LEAST[more] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    return fine ? more + 1 : 0;
}

/* What is no text, as in a file name, is escaped as Python does it. */
static void put_text(const char *text)
{
    if (!text) {
        fputs("null", stdout);
        return;
    }
    putchar('"');
    for (const char *at = text; *at;) {
        unsigned char letter = (unsigned char)*at;
        int bytes = character_bytes(at);
        if (letter == '"' || letter == '\\') printf("\\%c", letter);
        else if (letter < 0x20) printf("\\u%04x", letter);
        else if (!bytes) printf("\\udc%02x", letter);
        else printf("%.*s", bytes, at);
        at += bytes ? bytes : 1;
    }
    putchar('"');
}

/* Rounded as Python rounds; what is not finite is null. */
static void put_number(double value, int decimals)
{
    if (isfinite(value)) printf("%.*f", decimals, value);
    else fputs("null", stdout);
}

static void put_field(const char *name, double value, int decimals)
{
    printf(", \"%s\": ", name);
    put_number(value, decimals);
}

static void put_scores(const w2e_answer *answer)
{
    fputs(", \"label\": ", stdout);
    put_text(answer->label);
    fputs(", \"scores\": {", stdout);
    for (size_t i = 0; i < answer->score_count; i++) {
        if (i) fputs(", ", stdout);
        put_text(answer->scores[i].label);
        fputs(": ", stdout);
        put_number(answer->scores[i].probability, 6);
    }
    putchar('}');
}

/* Labels of frames, and an embedding. */
static void put_frames(const w2e_answer *answer)
{
    for (size_t i = 0; answer->frame_labels && i <= answer->frame_label_count; i++) {
        const w2e_frame_label *each = &answer->frame_labels[i];
        if (!i) fputs(", \"frame_labels\": [", stdout);
        if (i == answer->frame_label_count) {
            putchar(']');
            break;
        }
        fputs(i ? ", {\"label\": " : "{\"label\": ", stdout);
        put_text(each->label);
        put_field("start_s", each->start_s, 4);
        put_field("end_s", each->end_s, 4);
        put_field("confidence", each->confidence, 6);
        putchar('}');
    }
    if (!answer->embedding) return;
    for (size_t i = 0; i < answer->embedding_size; i++)
        printf("%s%.7g", i ? ", " : ", \"embedding\": [", (double)answer->embedding[i]);
    putchar(']');
}

/* What clips, segments and events have in common; begins behind a field. */
static void put_answer(const w2e_answer *answer)
{
    put_field("confidence", answer->confidence, 6);
    if (answer->rejected) fputs(", \"rejected\": true", stdout);
    if (answer->text) {
        fputs(", \"text\": ", stdout);
        put_text(answer->text);
    }
    if (answer->words) {
        fputs(", \"words\": [", stdout);
        for (size_t i = 0; i < answer->word_count; i++) {
            const w2e_word *word = &answer->words[i];
            fputs(i ? ", {\"text\": " : "{\"text\": ", stdout);
            put_text(word->text);
            put_field("start_s", word->start_s, 4);
            put_field("end_s", word->end_s, 4);
            put_field("confidence", word->confidence, 6);
            putchar('}');
        }
        putchar(']');
    }
    if (answer->scores) put_scores(answer);
    put_frames(answer);
}

static void put_times(const w2e_answer *answer)
{
    fputs("\"start_s\": ", stdout);
    put_number(answer->start_s, 4);
    put_field("end_s", answer->end_s, 4);
    put_answer(answer);
}

static void put_result(const char *path, const w2e_result *result)
{
    fputs("{\"path\": ", stdout);
    put_text(path);
    put_field("duration_s", result->duration_s, 4);
    put_answer(&result->answer);
    if (result->segments) {
        fputs(", \"segments\": [", stdout);
        for (size_t i = 0; i < result->segment_count; i++) {
            fputs(i ? ", {" : "{", stdout);
            put_times(&result->segments[i]);
            putchar('}');
        }
        putchar(']');
    }
    fputs(", \"warnings\": [", stdout);
    for (size_t i = 0; i < result->warning_count; i++) {
        if (i) fputs(", ", stdout);
        put_text(result->warnings[i]);
    }
    puts("]}");
}

static void put_event(const w2e_event *event)
{
    bool final = event->type == W2E_FINAL;
    printf("{\"type\": \"%s\", ", final ? "final" : "partial");
    put_times(&event->answer);
    if (final) printf(", \"reason\": \"%s\"", event->reason);
    else printf(", \"stable_words\": %zu", event->stable_words);
    put_field("latency_s", event->latency_s, 4);
    puts("}");
}

/* Text ------------------------------------------------------------------------------------------------------------- */

/* A column, in which a tab or a line break is written as its escape. */
static void put_column(const char *text, bool first)
{
    if (!first) putchar('\t');
    for (; *text; text++) {
        if (*text == '\t') fputs("\\t", stdout);
        else if (*text == '\n') fputs("\\n", stdout);
        else if (*text == '\r') fputs("\\r", stdout);
        else putchar(*text);
    }
}

/* Time as h:mm:ss.mmm, hours only where there are any. */
static void put_clock(double time_s, bool first)
{
    char clock[48];
    long long milliseconds = llrint(time_s * 1e3), minutes = milliseconds / 60000, hours = minutes / 60;
    int length = hours ? snprintf(clock, sizeof clock, "%lld:", hours) : 0;
    snprintf(clock + length, sizeof clock - (size_t)length, "%02lld:%02lld.%03lld", minutes % 60,
             milliseconds / 1000 % 60, milliseconds % 1000);
    put_column(clock, first);
}

/* The transcript, the label and the numbers of an embedding, behind other columns. */
static void put_columns(const w2e_answer *answer, bool first)
{
    if (answer->text) put_column(answer->text, first), first = false;
    if (answer->scores) put_column(answer->label ? answer->label : "", first), first = false;
    for (size_t i = 0; i < answer->embedding_size; i++)
        printf("%s%.6g", i ? " " : first ? "" : "\t", (double)answer->embedding[i]);
    putchar('\n');
}

/* A line with times, or one for each label of its frames. */
static void put_timed(const char *path, bool many, const w2e_answer *answer)
{
    bool labelled = answer->frame_labels && !answer->rejected;
    for (size_t i = 0; i < (labelled ? answer->frame_label_count : 1); i++) {
        const w2e_frame_label *each = labelled ? &answer->frame_labels[i] : NULL;
        if (many) put_column(path, true);
        put_clock(each ? each->start_s : answer->start_s, !many);
        put_clock(each ? each->end_s : answer->end_s, false);
        if (each) put_column(each->label, false), putchar('\n');
        else put_columns(answer, false);
    }
}

static void put_lines(const char *path, bool many, const w2e_result *result)
{
    for (size_t i = 0; i < result->segment_count; i++) put_timed(path, many, &result->segments[i]);
    if (result->segments) return;
    if (result->answer.frame_labels) {
        put_timed(path, many, &result->answer);
        return;
    }
    if (many) put_column(path, true);
    put_columns(&result->answer, !many);
}

/* run -------------------------------------------------------------------------------------------------------------- */

static int run(struct request *request)
{
    w2e_error error = {.code = 0};
    if (!request->file_count) {
        tell("no FILE.wav; give one or more, or - for standard input");
        return 2;
    }
    if (request->no_segments) request->engine.longest_segment_s = (double)INFINITY;
    w2e_engine *engine = w2e_open(request->bundle, &request->engine, &error);
    if (!engine) {
        tell(error.message);
        return error.code;
    }
    int failed = 0;
    for (int i = 0; i < request->file_count; i++) {
        const char *path = request->files[i];
        const w2e_result *result = w2e_run_file(engine, path, &error);
        if (!result) {
            failed++;
            tell(error.message);
            if (!request->json) continue;
            fputs("{\"path\": ", stdout);
            put_text(path);
            fputs(", \"error\": ", stdout);
            put_text(error.message);
            puts("}");
            flush();
            continue;
        }
        for (size_t k = 0; k < result->warning_count; k++)
            fprintf(stderr, "wav2edge-c: warning: %s: %s\n", path, result->warnings[k]);
        if (request->json) put_result(path, result);
        else put_lines(path, request->file_count > 1, result);
        flush();
    }
    if (failed && failed == request->file_count && failed > 1)
        fprintf(stderr, "wav2edge-c: all %d inputs failed\n", failed);
    else if (failed && request->file_count > 1)
        fprintf(stderr, "wav2edge-c: %d of %d inputs failed, the rest are answered\n", failed, request->file_count);
    w2e_close(engine);
    return failed ? 1 : 0;
}

/* stream ----------------------------------------------------------------------------------------------------------- */

#define BLOCK_S 0.03

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    interrupted = number;
}

/* Sound as it comes from a file or a pipe. */
struct source {
    const char *name;
    bool piped;
    FILE *file;
    unsigned char *bytes;
    size_t count, room; /* bytes that wait, and how many fit */
    w2e_pcm format;
    size_t frame_bytes;
    uint64_t promised; /* bytes of sound that may still come */
    int failure;       /* errno of a read that failed */
};

/* Reads what has come; false: the end, or a failure. */
static bool read_some(struct source *source, size_t most)
{
    ssize_t more;
    do more = read(fileno(source->file), source->bytes + source->count, most);
    while (more < 0 && errno == EINTR && !interrupted);
    if (more > 0) source->count += (size_t)more;
    if (more < 0 && errno != EINTR) source->failure = errno;
    return more > 0;
}

/* Says why the sound of a source cannot be used; always false. */
static bool refuse(const struct source *source, w2e_error *error, const char *reason, const char *advice)
{
    error->code = 1;
    snprintf(error->message, sizeof error->message, "%.800s: %s; %s", source->name, reason, advice);
    return false;
}

/* Whether no read has failed. */
static bool check_reads(const struct source *source, w2e_error *error)
{
    if (source->failure == EISDIR) return refuse(source, error, "a folder", "give one of its clips");
    return !source->failure || refuse(source, error, strerror(source->failure), "nothing more can be read");
}

/* Reads the header of a WAV file, up to the samples. */
static bool read_header(struct source *source, w2e_wav *header, w2e_error *error)
{
    w2e_wav_state state;
    while ((state = w2e_wav_header(source->name, source->bytes, source->count, header, error)) == W2E_WAV_NEEDS_MORE)
        if (source->count == source->room || !read_some(source, 1))
            return check_reads(source, error)
                   && refuse(source, error, "ends in its WAV header", "nothing was recorded");
    source->promised = header->data_bytes ? header->data_bytes : UINT64_MAX;
    return state == W2E_WAV_OK;
}

/* Of a file that is there as a whole it is known before the first answer what is wrong with it. */
static bool check_whole(struct source *source, const w2e_wav *header, w2e_error *error)
{
    struct stat about;
    int handle = fileno(source->file);
    if (source->piped || fstat(handle, &about) != 0 || !S_ISREG(about.st_mode)) return true;
    size_t size = (size_t)about.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, handle, 0);
    if (bytes == MAP_FAILED) return refuse(source, error, strerror(errno), "nothing can be read");
    w2e_pcm pcm;
    bool truncated, fine = w2e_wav_read(source->name, bytes, size, &pcm, &truncated, error);
    munmap(bytes, size);
    if (!fine) return false;
    if (truncated) fprintf(stderr, "wav2edge-c: %s: truncated, it ends before its sound does\n", source->name);
    source->promised = pcm.frames * header->frame_bytes;
    return true;
}

/* Finds out what the samples are: a WAV header says so, or the options. */
static bool describe(struct source *source, const struct request *request, w2e_error *error)
{
    int channels = request->channels ? request->channels : 1, rate_hz = request->stream.rate_hz;
    source->format = (w2e_pcm){.channels = channels, .format = W2E_S16, .rate_hz = rate_hz ? rate_hz : 16000};
    source->frame_bytes = 2 * (size_t)channels;
    source->promised = UINT64_MAX;
    while (source->count < 12 && read_some(source, 12 - source->count)) continue;
    if (!check_reads(source, error)) return false;
    const char *other = w2e_other_sound(source->bytes, source->count);
    char reason[48];
    snprintf(reason, sizeof reason, "%s, not WAV or raw samples", other ? other : "");
    if (other)
        return refuse(source, error, reason,
                      "convert it on its way: ffmpeg -i IN -f wav - | wav2edge-c stream BUNDLE -");
    bool wav = source->count >= 4 && (memcmp(source->bytes, "RIFF", 4) == 0 || memcmp(source->bytes, "RF64", 4) == 0);
    if (!wav) return true;
    if (request->channels || rate_hz) {
        refuse(source, error, "WAV, so its header counts", "leave out --rate and --channels");
        error->code = 2;
        if (!source->piped) return false;
        tell(error->message);
    }
    w2e_wav header;
    if (!read_header(source, &header, error) || !check_whole(source, &header, error)) return false;
    source->format = (w2e_pcm){.channels = header.channels, .format = header.format, .rate_hz = header.rate_hz};
    source->frame_bytes = header.frame_bytes;
    source->count = 0;
    return true;
}

static void show(const struct request *request, const w2e_events *events)
{
    for (size_t i = 0; i < events->count; i++) {
        const w2e_event *event = &events->items[i];
        if (request->finals && event->type != W2E_FINAL) continue;
        if (request->json) put_event(event);
        else if (event->type == W2E_FINAL) put_columns(&event->answer, true);
        else continue;
        flush();
    }
}

/* Gives the stream whole frames until the sound ends. */
static bool feed(struct source *source, w2e_stream *stream, const struct request *request, w2e_error *error)
{
    size_t block = (size_t)lrint(BLOCK_S * source->format.rate_hz), fits = source->room / source->frame_bytes;
    if (block > fits) block = fits;
    size_t most = (block ? block : 1) * source->frame_bytes;
    uint64_t promised = source->promised;
    w2e_events events;
    while (!interrupted) {
        size_t whole = source->count / source->frame_bytes * source->frame_bytes;
        if (whole) {
            w2e_pcm pcm = source->format;
            pcm.samples = source->bytes;
            pcm.frames = whole / source->frame_bytes;
            if (!w2e_stream_feed_pcm(stream, &pcm, &events, error)) return false;
            show(request, &events);
            source->count -= whole;
            memmove(source->bytes, source->bytes + whole, source->count);
        }
        size_t wanted = most - source->count;
        if (wanted > source->promised) wanted = (size_t)source->promised;
        size_t before = source->count;
        if (!wanted || !read_some(source, wanted)) break;
        if (promised != UINT64_MAX) source->promised -= source->count - before;
    }
    double second = (double)source->frame_bytes * source->format.rate_hz;
    if (promised != UINT64_MAX && source->promised && !interrupted)
        fprintf(stderr, "wav2edge-c: %s: ends after %.2f s of the %.2f s promised\n", source->name,
                (double)(promised - source->promised) / second, (double)promised / second);
    return check_reads(source, error);
}

/* Says in the error of a block where it came from, and when. */
static void locate(const struct source *source, double clock_s, w2e_error *error)
{
    static const char NAME[] = "stream: ";
    w2e_error own = *error;
    if (strncmp(own.message, NAME, sizeof NAME - 1) != 0) return;
    snprintf(error->message, sizeof error->message, "%.200s: after %.2f s: %.700s", source->name, clock_s,
             own.message + sizeof NAME - 1);
}

static int recognise(struct source *source, struct request *request, w2e_engine *engine, w2e_error *error)
{
    request->stream.rate_hz = source->format.rate_hz;
    w2e_stream *stream = w2e_stream_open(engine, &request->stream, error);
    if (!stream) return error->code;
    bool fine = feed(source, stream, request, error);
    if (!fine) locate(source, w2e_stream_clock_s(stream), error);
    w2e_events events;
    w2e_error last = {.code = 0};
    bool finished = w2e_stream_finish(stream, &events, &last); /* what was said before an error is answered */
    if (finished) show(request, &events);
    double heard_s = w2e_stream_clock_s(stream);
    if (heard_s > 0)
        fprintf(stderr, "wav2edge-c: %.1f s of sound, real-time factor %.2f\n", heard_s,
                w2e_stream_compute_s(stream) / heard_s);
    else if (fine && !interrupted) fine = refuse(source, error, "no sound came", "does what gives it work?");
    w2e_stream_close(stream);
    if (fine && !finished) *error = last;
    if (!fine || !finished) return error->code;
    return interrupted ? 130 : 0;
}

static int stream(struct request *request)
{
    w2e_error error = {.code = 0};
    bool piped = !request->file_count || strcmp(request->files[0], "-") == 0;
    if (request->channels > 64) {
        tell("--channels: give 1 to 64");
        return 2;
    }
    static unsigned char bytes[1 << 20];
    struct source source = {.name = piped ? "standard input" : request->files[0], .piped = piped};
    source.bytes = bytes;
    source.room = sizeof bytes;
    source.file = piped ? stdin : fopen(request->files[0], "rb");
    /* Where it is closed, the next file that is opened would take its place. */
    const char *odd = !source.file                       ? strerror(errno)
                      : !piped                           ? NULL
                      : fcntl(STDIN_FILENO, F_GETFD) < 0 ? "closed"
                      : isatty(STDIN_FILENO)             ? "a terminal"
                                                         : NULL;
    if (odd) {
        refuse(&source, &error, odd, piped ? "pipe sound into it" : "check the path");
        tell(error.message);
        return error.code;
    }
    w2e_engine *engine = w2e_open(request->bundle, &request->engine, &error);
    int code = error.code;
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (engine) code = describe(&source, request, &error) ? recognise(&source, request, engine, &error) : error.code;
    if (code && code != 130) tell(error.message);
    w2e_close(engine);
    if (!piped) fclose(source.file);
    return code;
}

/* verify ----------------------------------------------------------------------------------------------------------- */

struct listing {
    bool json;
    size_t count;
};

static void show_check(void *context, const char *name, bool passed, const char *detail)
{
    struct listing *listing = context;
    if (!listing->json) {
        printf("%s  %s: %s\n", passed ? "ok  " : "FAIL", name, detail);
        return;
    }
    fputs(listing->count++ ? ", {\"name\": " : "{\"checks\": [{\"name\": ", stdout);
    put_text(name);
    printf(", \"passed\": %s, \"detail\": ", passed ? "true" : "false");
    put_text(detail);
    putchar('}');
}

static int verify(struct request *request)
{
    w2e_error error = {.code = 0};
    struct listing listing = {request->json, 0};
    bool fine = w2e_verify(request->bundle, &request->engine, show_check, &listing, &error);
    if (listing.count) puts("]}");
    if (!fine) tell(error.message);
    return fine ? 0 : error.code;
}

int main(int count, char **words)
{
    static const struct verb VERBS[] = {
        {"run", run, RUN, INT_MAX}, {"stream", stream, STREAM, 1}, {"verify", verify, VERIFY, 0}};
    struct request request;
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0) { /* the next file that is opened would get the answers */
        tell("standard output is closed; send it to a file or a pipe, or to the null device");
        return 1;
    }
    const size_t verbs = sizeof VERBS / sizeof *VERBS;
    const char *asked = count == 2 && strcmp(words[1], "--version") == 0 ? "wav2edge-c " W2E_VERSION "\n" : NULL;
    for (int i = 1; i < count; i++)
        if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0) asked = USAGE;
    size_t verb = asked || count < 2 ? verbs : 0;
    while (verb < verbs && strcmp(words[1], VERBS[verb].name) != 0) verb++;
    int code = asked ? 0 : 2;
    if (verb == verbs) fputs(asked ? asked : USAGE, asked ? stdout : stderr);
    else if (parse(&request, &VERBS[verb], words + 2, words + count)) code = VERBS[verb].answer(&request);
    flush();
    return code;
}
