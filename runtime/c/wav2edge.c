/* wav2edge: see wav2edge.h. The numbers and their order of computation are those of the Python package. */

#if defined(__linux__)
#define _GNU_SOURCE
#elif defined(__APPLE__)
#define _DARWIN_C_SOURCE
#else
#define _POSIX_C_SOURCE 200809L
#endif

#include "wav2edge.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

#ifdef W2E_ORT_HEADER /* ONNX Runtime's own header: not needed, but where it is there the declarations are checked */
#include <onnxruntime_c_api.h>
#endif

/* The only two functions that memory comes from and goes to. */
#ifndef W2E_REALLOC
#define W2E_REALLOC realloc
#define W2E_FREE free
#endif

#define RATE_HZ 16000
#define PI 3.14159265358979323846

/* clang-format off */
/* messages.json: begin */
#define MESSAGES(MESSAGE) \
    MESSAGE(BUNDLE_NO_MANIFEST, 3, "{folder}: not a bundle, it has no manifest.json; give the folder that `wav2edge export` wrote") \
    MESSAGE(BUNDLE_NO_FOLDER, 3, "{folder}: not a bundle, there is no such folder; check the path") \
    MESSAGE(BUNDLE_IS_FILE, 3, "{folder}: not a bundle but a file; give the folder that `wav2edge export` wrote") \
    MESSAGE(BUNDLE_IS_CHECKPOINT, 3, "{folder}: a PyTorch checkpoint, not a bundle; export it: wav2edge export {folder} --output BUNDLE") \
    MESSAGE(BUNDLE_UNREADABLE, 3, "{path}: {reason}; check its permissions") \
    MESSAGE(MANIFEST_NOT_JSON, 3, "{path}: not JSON ({reason})\n") \
    MESSAGE(MANIFEST_WRONG_FORMAT, 3, "{path}: not a wav2edge-bundle; is this the right folder?") \
    MESSAGE(MANIFEST_BAD_VERSION, 3, "{path}: 'format_version' is {version}, not a version\n") \
    MESSAGE(MANIFEST_TOO_NEW, 3, "{path}: format version {version} is newer than 2, the newest this wav2edge reads; upgrade: {upgrade}") \
    MESSAGE(MANIFEST_UNSEALED, 3, "{path}: damaged or altered, its last line is not the SHA-256 of what is above it; copy or export it again") \
    MESSAGE(MANIFEST_KEY_MISSING, 3, "{path}: '{key}' is missing\n") \
    MESSAGE(MANIFEST_KEY_TYPE, 3, "{path}: '{key}' is not a {kind}\n") \
    MESSAGE(MANIFEST_DEFAULT_VARIANT, 3, "{path}: the default variant '{variant}' is not among {variants}\n") \
    MESSAGE(MANIFEST_VARIANT_FILE, 3, "{path}: the variant {variant} names '{file}', which is not listed\n") \
    MESSAGE(MANIFEST_STREAM_FILE, 3, "{path}: the stream {variant} names '{file}', which is not listed\n") \
    MESSAGE(MANIFEST_SAMPLE_RATE, 3, "{path}: 'sample_rate_hz' is {rate}; only 16000 is supported\n") \
    MESSAGE(MANIFEST_OUTSIDE, 3, "{path}: the file name '{file}' points outside the bundle\n") \
    MESSAGE(MANIFEST_SECONDS, 3, "{path}: '{key}' is {value}, not a number of seconds\n") \
    MESSAGE(MANIFEST_TEMPERATURE, 3, "{path}: '{head}' in 'confidence_temperature' is {value}, not a positive number\n") \
    MESSAGE(MANIFEST_RECORD, 3, "{path}: '{name}' in '{key}' has a missing or an unknown key\n") \
    MESSAGE(MANIFEST_NAMES, 3, "{path}: '{key}' must hold strings only\n") \
    MESSAGE(MANIFEST_BLANK, 3, "{path}: the blank id {blank} is outside the vocabulary of {tokens} tokens\n") \
    MESSAGE(MANIFEST_REPEATED_TOKEN, 3, "{path}: the vocabulary must not contain a token twice\n") \
    MESSAGE(MANIFEST_LABELS, 3, "{path}: labels must be non-empty and unique, got {labels}\n") \
    MESSAGE(MANIFEST_NO_HEAD, 3, "{path}: a model needs a head at least: ctc, classification, frame_classification, embedding\n") \
    MESSAGE(MANIFEST_TEXT_RULE, 3, "{path}: '{key}' is {value}, not a {kind}\n") \
    MESSAGE(MANIFEST_EMBEDDING, 3, "{path}: an embedding of {size} numbers from {frames} frames; both are at least 1\n") \
    MESSAGE(MANIFEST_LAYERS, 3, "{path}: {kernels} kernels and {strides} strides; each layer needs one of both\n") \
    MESSAGE(MANIFEST_NOT_POSITIVE, 3, "{path}: kernels, strides and the sample rate must be positive\n") \
    MESSAGE(MANIFEST_STREAM_STATE, 3, "{path}: a state of a stream has shape {shape} and type '{type}'\n") \
    MESSAGE(MANIFEST_STREAM_CHUNKS, 3, "{path}: 'stream' needs chunks of one frame or more, and a left context\n") \
    MESSAGE(MANIFEST_STREAM_DAMAGED, 3, "{path}: 'stream' is damaged ({reason})\n") \
    MESSAGE(VARIANT_UNKNOWN, 3, "{folder}: no variant '{variant}'; it has: {variants}") \
    MESSAGE(LANGUAGE_UNKNOWN, 3, "{folder}: nothing in the language '{language}'; it has: {languages}") \
    MESSAGE(FILE_MISSING, 3, "{path}: missing from the bundle; copy or export it again") \
    MESSAGE(FILE_SIZE, 3, "{path}: {bytes} bytes where the manifest says {expected}; copy or export it again") \
    MESSAGE(FILE_DIGEST, 3, "{path}: damaged, its SHA-256 is not the manifest's; copy or export it again") \
    MESSAGE(FILE_UNLISTED, 3, "{folder}: has no {name}; export it again") \
    MESSAGE(GRAPH_UNLOADABLE, 3, "{path}: ONNX Runtime {version} cannot load it: {reason}") \
    MESSAGE(GRAPH_OTHER_FILES, 3, "{path}: keeps weights in other files, which no digest covers\n") \
    MESSAGE(GRAPH_INPUTS, 3, "{path}: its inputs are {names} where 'input_values' is wanted\n") \
    MESSAGE(GRAPH_INPUTS_BATCHED, 3, "{path}: its inputs are {names} where 'input_values' and 'attention_mask' are wanted\n") \
    MESSAGE(GRAPH_OUTPUTS, 3, "{path}: gives {names} where the manifest says '{name}'\n") \
    MESSAGE(GRAPH_WIDTH, 3, "{path}: its output '{name}' is {width} wide where the manifest says {expected}\n") \
    MESSAGE(GRAPH_STREAM, 3, "{path}: is not the graph of a stream that the manifest describes ({names})\n") \
    MESSAGE(GOLDEN_NONE, 3, "{folder}: its golden.json has no entry '{variant}'\n") \
    MESSAGE(CHECKS_FAILED, 3, "{folder}: {failed} of {count} checks failed: {names}") \
    MESSAGE(DECODER_DAMAGED, 3, "{folder}: its decoder cannot be made, {reason}\n") \
    MESSAGE(RUNTIME_NOT_FOUND, 3, "ONNX Runtime cannot be loaded ({reason}); install it, or set WAV2EDGE_ORT to the path of its library") \
    MESSAGE(RUNTIME_NOT_THERE, 3, "ONNX Runtime cannot be loaded ({reason}); give the path of its library") \
    MESSAGE(RUNTIME_TOO_OLD, 3, "ONNX Runtime {version} is too old; install {least} or newer") \
    MESSAGE(OUT_OF_MEMORY, 3, "no memory for {bytes} bytes; use a smaller model or shorter clips") \
    MESSAGE(ENGINE_FORKED, 3, "this engine was loaded before a fork; load it again in the child process") \
    MESSAGE(DEVICE_UNUSABLE, 3, "{device} cannot be used here: {reason}") \
    MESSAGE(DEVICE_FAILED, 3, "{device} failed on {duration} s of audio: {reason}; try shorter clips, or another --device") \
    MESSAGE(DEVICE_FAILED_CHUNK, 3, "cpu failed on a chunk of a stream: {reason}") \
    MESSAGE(OUTPUT_NOT_FINITE, 3, "{engine} gave NaN or infinity; check it with `wav2edge verify`, or use another --variant") \
    MESSAGE(THREADS, 2, "{threads} threads; at least 1 is needed") \
    MESSAGE(THREADS_MOST, 2, "{threads} threads; at most {most} can be had") \
    MESSAGE(REJECT_BELOW, 2, "answers below {confidence} cannot be rejected; give a confidence from 0 to 1") \
    MESSAGE(OPTION_KIND, 2, "{option} is {value}; give {kind}") \
    MESSAGE(ARGUMENT_NULL, 2, "the argument '{argument}' is NULL; check the call that it comes from") \
    MESSAGE(AUDIO_RATE_RANGE, 1, "{name}: {rate} Hz is outside 4000 to 768000 Hz; resample the clip first") \
    MESSAGE(AUDIO_CHANNEL_COUNT, 1, "{name}: {channels} channels, where 1 to {most} are possible") \
    MESSAGE(AUDIO_EMPTY, 1, "{name}: holds no samples; record or export the clip again") \
    MESSAGE(AUDIO_NOT_FINITE, 1, "{name}: samples that are not finite, {count} in all, the first at index {index}, channel {channel} ({value}); export the clip again") \
    MESSAGE(AUDIO_PEAK, 1, "{name}: peak {peak} is not plausible audio; scale the samples to [-1, 1]") \
    MESSAGE(AUDIO_SILENT, 1, "{name}: silent, every sample is {value}; check the microphone or the file") \
    MESSAGE(AUDIO_SILENT_RECORDING, 1, "{name}: silent from start to end; check the microphone or the file") \
    MESSAGE(AUDIO_TOO_SHORT, 1, "{name}: {samples} samples at {rate} Hz are less than one at 16 kHz") \
    MESSAGE(AUDIO_TOO_SHORT_FOR_MODEL, 1, "{name}: {duration} s long, and this model needs {shortest} s at least; give a longer clip") \
    MESSAGE(WAV_UNREADABLE, 1, "{name}: cannot be decoded ({reason}); it is cut off, damaged or not audio: copy it again, or convert it to WAV") \
    MESSAGE(WAV_ONLY, 1, "{name}: {kind}, where only WAV with PCM or float samples is read; convert it: ffmpeg -i IN OUT.wav") \
    MESSAGE(WAV_TRUNCATED, 1, "{name}: truncated, the file ends after {seconds} s with audio still promised; copy or record it again") \
    MESSAGE(AUDIO_FILE_EMPTY, 1, "{name}: empty file; record or copy it again") \
    MESSAGE(AUDIO_FILE_GIT_LFS, 1, "{name}: a Git LFS pointer, not audio; run `git lfs pull`") \
    MESSAGE(AUDIO_FILE_CONTAINER, 1, "{name}: an MP4, M4A, MKV or WebM container; convert it first: ffmpeg -i IN -ar 16000 -ac 1 OUT.wav") \
    MESSAGE(AUDIO_FILE_TEXT, 1, "{name}: text, not audio; was a web page or a list saved under this name?") \
    MESSAGE(AUDIO_FILE_FOLDER, 1, "{name}: a folder; give its clips") \
    MESSAGE(AUDIO_FILE_ABSENT, 1, "{name}: no such file; check the path") \
    MESSAGE(AUDIO_FILE_BROKEN_LINK, 1, "{name}: a broken link, {target} is not there; mend or delete it") \
    MESSAGE(AUDIO_FILE_UNREADABLE, 1, "{name}: {reason}; check the path and its permissions") \
    MESSAGE(STREAM_RATE_CHANGED, 1, "stream: the sample rate changed from {before} to {now} Hz; finish this stream and open another") \
    MESSAGE(STREAM_CHANNELS_CHANGED, 1, "stream: {now} channels where there were {before}; finish this stream and open another") \
    MESSAGE(STREAM_IS_FINISHED, 2, "this stream is finished; open another") \
    MESSAGE(STREAM_KIND, 2, "no stream of kind '{kind}'; choose auto, cached, two-pass, windowed") \
    MESSAGE(STREAM_NO_GRAPHS, 2, "{engine} has no graphs for cached streams; train with --streaming and export with --stream, or use a windowed stream") \
    MESSAGE(STREAM_NO_HEAD, 2, "{engine} has no transcripts or classes to stream; give it whole clips") \
    MESSAGE(STREAM_CHUNK, 2, "{folder}: no stream in chunks of {chunk} ms; it has {chunks} ms: export it with --stream") \
    MESSAGE(STREAM_STEP, 2, "a step of {step} ms; give 1 ms or more") \
    MESSAGE(OPTION_SECONDS, 2, "{option} is {value}; give seconds, 0 or more") \
    MESSAGE(ENDPOINTING_LONGEST, 2, "{option} is {value}; an utterance may be 1 s long at least") \
    MESSAGE(ENDPOINTING_VAD, 2, "no voice activity detector '{vad}'; choose {choices}") \
    MESSAGE(SEGMENTATION_LONGEST, 2, "{option} is {value}; a segment needs at least 0.5 s") \
    MESSAGE(DECODER_KIND, 2, "a decoder is one of beam, grammar; got {got}") \
    MESSAGE(DECODER_NOT_JSON, 2, "a decoder is greedy, or JSON as in a manifest ({reason}); got '{got}'") \
    MESSAGE(DECODER_OPTIONS, 2, "the options of '{decoder}' are among {known}; got {got}") \
    MESSAGE(DECODER_NO_LM, 2, "it has a language model, which the C library does not read; leave out 'lm', or use another binding") \
    MESSAGE(AT_LEAST_ONE, 2, "{option} is {value}; it must be at least 1") \
    MESSAGE(AT_MOST, 2, "{option} is {value}; it must be at most {most}") \
    MESSAGE(BEAM_WEIGHT, 2, "the weight of '{name}' is {weight}; give a finite number") \
    MESSAGE(BEAM_HEAVIEST, 2, "the weight of '{name}' is {weight}; give a number up to {most}") \
    MESSAGE(BEAM_LM_UNITS, 2, "{option} is '{units}'; choose from words, tokens") \
    MESSAGE(SPELL_UNKNOWN, 2, "'{text}': the vocabulary has no {characters}; write it with {known}") \
    MESSAGE(SPELL_EMPTY, 2, "an empty phrase; give at least one word") \
    MESSAGE(GRAMMAR_TEXT, 2, "phrases is one text, '{phrases}'; give a list of phrases") \
    MESSAGE(GRAMMAR_EMPTY, 2, "a grammar without phrases; give at least one") \
    MESSAGE(GRAMMAR_REPEATED, 2, "the phrase '{phrase}' stands in the grammar twice; leave one out") \
    MESSAGE(GRAMMAR_LEAST_FIT, 2, "{option} is {value}; give a fit from 0 to 1") \
    MESSAGE(WARNING_CHANNELS_CANCEL, 0, "the channels cancel each other out (is one inverted?): only channel {channel} is used") \
    MESSAGE(WARNING_PEAK, 0, "peak {peak} is far above full scale 1.0: were integers passed as floats?") \
    MESSAGE(WARNING_CLIPPED, 0, "clipped: more than 0.1 % of the samples are at full scale") \
    MESSAGE(WARNING_QUIET, 0, "very quiet, with a peak of {peak} dBFS: words may be wrong or missing; make it louder") \
    MESSAGE(WARNING_SHORT, 0, "only {milliseconds} ms long: silence was added") \
    MESSAGE(WARNING_TRUNCATED, 0, "truncated: the file ends after {seconds} s with audio still promised") \
    MESSAGE(WARNING_LONGER_THAN_TRAINING, 0, "{duration} s long: the model was trained on clips of up to {limit} s; answer it in segments") \
    MESSAGE(WARNING_LONGER_THAN_CERTIFIED, 0, "{duration} s long: the model is certified up to {limit} s; answer it in segments") \
    MESSAGE(WARNING_LEFT_OUT, 0, "speech of less than {shortest} s is left out: this model needs more") \
    MESSAGE(WARNING_NO_SPEECH, 0, "no speech found")
/* messages.json: end */
/* clang-format on */

#define MESSAGE_ID(name, code, text) MESSAGE_##name,
enum message { MESSAGES(MESSAGE_ID) };

/* One after the other: pointers to them would have to be relocated when the program starts, and take more room. */
#define MESSAGE_ROOM(name, code, text) char name[sizeof text];
#define MESSAGE_TEXT(name, code, text) text,
static const struct message_texts {
    MESSAGES(MESSAGE_ROOM)
} MESSAGE_TEXTS = {MESSAGES(MESSAGE_TEXT)};

#define MESSAGE_CODE(name, code, text) code,
static const unsigned char MESSAGE_CODES[] = {MESSAGES(MESSAGE_CODE)}; /* exit codes */
#define MESSAGE_PLACE(name, code, text) offsetof(struct message_texts, name),
static const uint16_t MESSAGE_PLACES[] = {MESSAGES(MESSAGE_PLACE)};

static const char *message_text(enum message id)
{
    return (const char *)&MESSAGE_TEXTS + MESSAGE_PLACES[id];
}

/* Errors and texts ------------------------------------------------------------------------------------------------ */

#ifdef __GNUC__
#define ENDS_WITH_NULL __attribute__((sentinel))
#else
#define ENDS_WITH_NULL
#endif

/* A number as text; functions that return one are called inside the call that uses its text. */
struct number {
    char text[40];
};

/* The decimal point is a point, whatever the program's locale says. */
static void use_point(char *text)
{
    const char *point = localeconv()->decimal_point;
    char *found = strcmp(point, ".") == 0 ? NULL : strstr(text, point);
    if (found) {
        *found = '.';
        memmove(found + 1, found + strlen(point), strlen(found + strlen(point)) + 1);
    }
}

static struct number integer(int64_t value)
{
    struct number found;
    snprintf(found.text, sizeof found.text, "%lld", (long long)value);
    return found;
}

/* As Python's format `.2f`. */
static struct number fixed(double value, int decimals)
{
    struct number found;
    snprintf(found.text, sizeof found.text, "%.*f", decimals, fabs(value) < 1e20 ? value : 0.0);
    use_point(found.text);
    return found;
}

/* As Python's format `g`. */
static struct number general(double value, int digits)
{
    struct number found;
    snprintf(found.text, sizeof found.text, "%.*g", digits, value);
    use_point(found.text);
    return found;
}

/* As Python shows a float. */
static struct number shown(double value)
{
    struct number found;
    if (isnan(value) || isinf(value)) {
        snprintf(found.text, sizeof found.text, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return found;
    }
    int digits = fabs(value) >= 1 && fabs(value) < 1e16 ? (int)log10(fabs(value)) + 1 : 1; /* no exponent in between */
    do {
        snprintf(found.text, sizeof found.text, "%.*g", digits, value);
    } while (strtod(found.text, NULL) != value && digits++ < 17);
    use_point(found.text);
    if (!strpbrk(found.text, ".e")) strcat(found.text, ".0");
    return found;
}

/* A list in words, cut off where it becomes long. */
struct line {
    char text[512];
};

static void line_add(struct line *line, const char *between, const char *text)
{
    size_t length = strlen(line->text);
    size_t room = sizeof line->text - length;
    int written = snprintf(line->text + length, room, "%s%s", length ? between : "", text);
    if (written < 0 || (size_t)written >= room) line->text[length] = 0; /* what does not fit is left out */
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static const char *value_of(const char *name, size_t length, va_list values)
{
    va_list rest;
    va_copy(rest, values);
    const char *found = "?", *each;
    while ((each = va_arg(rest, const char *)) != NULL) {
        const char *value = va_arg(rest, const char *);
        if (strlen(each) == length && memcmp(each, name, length) == 0) found = value;
    }
    va_end(rest);
    return found;
}

/* Writes a message with its {placeholders} filled in, and returns how long it would be whole. A line break in the table
 * stands for the end that many messages have. */
static size_t expand(char *out, size_t size, const char *message, va_list values)
{
    static const char COMMON_END[] = "; export the bundle again";
    size_t length = 0;
    for (const char *at = message; *at;) {
        const char *piece = at, *end = strchr(at, '}');
        size_t piece_length = 1;
        if (*at == '{' && end) {
            piece = value_of(at + 1, (size_t)(end - at) - 1, values);
            piece_length = strlen(piece);
            at = end + 1;
        } else if (*at++ == '\n') {
            piece = COMMON_END;
            piece_length = sizeof COMMON_END - 1;
        }
        for (size_t i = 0; i < piece_length; i++, length++)
            if (length + 1 < size) out[length] = piece[i];
    }
    size_t end = length < size ? length : size - 1;
    if (size && length >= size) /* do not cut a character of UTF-8 */
        while (end && ((unsigned char)out[end - 1] & 0xC0) == 0x80) end--;
    if (size) out[end] = 0;
    return length;
}

/* Fills in an error; always false. Values come in pairs, a placeholder's name and its text, NULL behind the last. */
ENDS_WITH_NULL static bool fail(w2e_error *error, enum message id, ...)
{
    if (!error) return false;
    error->code = MESSAGE_CODES[id];
    /* The table has those errors of devices that are raised here behind all errors of bundles. */
    error->kind = error->code == 1                ? W2E_AUDIO_ERROR
                  : error->code == 2              ? W2E_USAGE_ERROR
                  : id <= MESSAGE_DECODER_DAMAGED ? W2E_BUNDLE_ERROR
                                                  : W2E_DEVICE_ERROR;
    va_list values;
    va_start(values, id);
    expand(error->message, sizeof error->message, message_text(id), values);
    va_end(values);
    return false;
}

/* Whether a caller gave an argument. */
static bool is_given(const void *argument, const char *name, w2e_error *error)
{
    return argument || fail(error, MESSAGE_ARGUMENT_NULL, "argument", name, NULL);
}

#define GIVEN(argument) is_given(argument, #argument, error)

/* Memory ---------------------------------------------------------------------------------------------------------- */

/* Memory that grows, and is kept for the next use. */
struct buffer {
    void *data;
    size_t bytes;
};

/* Room for so many items; what was there stays. NULL: there is no memory. */
static void *reserve(struct buffer *buffer, size_t count, size_t item_bytes, w2e_error *error)
{
    size_t needed = count * item_bytes;
    if (count && needed / count != item_bytes) needed = SIZE_MAX;
    if (buffer->data && needed <= buffer->bytes) return buffer->data;
    size_t bytes = needed < SIZE_MAX / 2 && needed < 2 * buffer->bytes ? 2 * buffer->bytes : needed;
    if (bytes < 64) bytes = 64;
    void *data = needed == SIZE_MAX ? NULL : W2E_REALLOC(buffer->data, bytes);
    if (!data) {
        fail(error, MESSAGE_OUT_OF_MEMORY, "bytes", general((double)needed, 15).text, NULL);
        return NULL;
    }
    buffer->data = data;
    buffer->bytes = bytes;
    return data;
}

static void release(struct buffer *buffer)
{
    W2E_FREE(buffer->data);
    *buffer = (struct buffer){0};
}

/* Zeroed memory for a single object or array. */
static void *allocate(size_t count, size_t item_bytes, w2e_error *error)
{
    struct buffer buffer = {0};
    void *data = reserve(&buffer, count ? count : 1, item_bytes, error);
    return data ? memset(data, 0, buffer.bytes) : NULL;
}

static char *copy_text(const char *text, w2e_error *error)
{
    char *copy = allocate(strlen(text) + 1, 1, error);
    return copy ? strcpy(copy, text) : NULL;
}

/* What is handed to the caller: it lies in blocks that are never moved, and that are used again for the next call. */
struct block {
    struct block *next;
    size_t bytes, used;
};

struct arena {
    struct block *first, *current;
};

#define ARENA_BLOCK 4096

static struct block *new_block(size_t bytes, struct block *next, w2e_error *error)
{
    struct block *block = allocate(1, sizeof *block + bytes, error);
    if (block) *block = (struct block){.next = next, .bytes = bytes};
    return block;
}

static void arena_free(struct arena *arena)
{
    for (struct block *block = arena->first, *next; block; block = next) {
        next = block->next;
        W2E_FREE(block);
    }
    *arena = (struct arena){0};
}

/* Empties it; the first block then has room for so many bytes. */
static bool arena_begin(struct arena *arena, size_t bytes, w2e_error *error)
{
    if (!arena->first || arena->first->bytes < bytes) {
        arena_free(arena);
        arena->first = new_block(bytes < ARENA_BLOCK ? ARENA_BLOCK : bytes, NULL, error);
        if (!arena->first) return false;
    }
    for (struct block *block = arena->first; block; block = block->next) block->used = 0;
    arena->current = arena->first;
    return true;
}

static void *arena_take(struct arena *arena, size_t count, size_t item_bytes, w2e_error *error)
{
    size_t bytes = (count * item_bytes + 15) / 16 * 16;
    struct block *block = arena->current;
    while (block->bytes - block->used < bytes) {
        if (!block->next) {
            block->next = new_block(bytes < ARENA_BLOCK ? ARENA_BLOCK : bytes, NULL, error);
            if (!block->next) return NULL;
        }
        block = block->next;
    }
    arena->current = block;
    void *found = (char *)(block + 1) + block->used;
    block->used += bytes;
    return found;
}

static const char *arena_text(struct arena *arena, const char *text, w2e_error *error)
{
    char *copy = arena_take(arena, strlen(text) + 1, 1, error);
    return copy ? strcpy(copy, text) : NULL;
}

/* Paths and files ------------------------------------------------------------------------------------------------- */

/* A path as Python's pathlib writes it: without double and trailing slashes, and without single dots. */
static char *clean_path(const char *folder, const char *name, w2e_error *error)
{
    size_t length = strlen(folder) + strlen(name) + 3;
    char *path = allocate(length, 1, error), *end = path;
    if (!path) return NULL;
    const char *parts[2] = {folder, name};
    if (folder[0] == '/') *end++ = '/';
    for (int i = 0; i < 2; i++) {
        for (const char *at = parts[i]; *at;) {
            size_t size = strcspn(at, "/");
            if (size && !(size == 1 && *at == '.')) {
                if (end > path && end[-1] != '/') *end++ = '/';
                memcpy(end, at, size);
                end += size;
            }
            at += size + (at[size] == '/');
        }
    }
    if (end == path) *end++ = '.';
    return path;
}

/* A file that is mapped into memory, for reading. */
struct mapped_file {
    const unsigned char *bytes;
    size_t size;
};

/* False: errno says why. */
static bool map_file(const char *path, struct mapped_file *file)
{
    *file = (struct mapped_file){(const unsigned char *)"", 0};
    int handle = open(path, O_RDONLY | O_CLOEXEC);
    if (handle < 0) return false;
    struct stat about;
    bool fine = fstat(handle, &about) == 0;
    if (fine && S_ISDIR(about.st_mode)) {
        errno = EISDIR;
        fine = false;
    }
    if (fine && about.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, handle, 0);
        fine = bytes != MAP_FAILED;
        if (fine) *file = (struct mapped_file){bytes, (size_t)about.st_size};
    }
    int reason = errno;
    close(handle);
    errno = reason;
    return fine;
}

static void unmap_file(struct mapped_file *file)
{
    if (file->size) munmap((void *)(uintptr_t)file->bytes, file->size);
    file->size = 0;
}

static uint64_t little_endian(const unsigned char *bytes, int count)
{
    uint64_t value = 0;
    for (int i = count; i-- > 0;) value = value << 8 | bytes[i];
    return value;
}

/* SHA-256 (FIPS 180-4) -------------------------------------------------------------------------------------------- */

static const uint32_t SHA256_ROUNDS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotated(uint32_t value, int bits)
{
    return value >> bits | value << (32 - bits);
}

static void sha256_block(uint32_t state[8], const unsigned char *block)
{
    uint32_t words[64];
    for (int i = 0; i < 16; i++) {
        const unsigned char *at = block + 4 * i;
        words[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t low = rotated(words[i - 15], 7) ^ rotated(words[i - 15], 18) ^ words[i - 15] >> 3;
        uint32_t high = rotated(words[i - 2], 17) ^ rotated(words[i - 2], 19) ^ words[i - 2] >> 10;
        words[i] = words[i - 16] + low + words[i - 7] + high;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i++) {
        uint32_t first = h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + ((e & f) ^ (~e & g));
        first += SHA256_ROUNDS[i] + words[i];
        uint32_t second = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + first;
        d = c, c = b, b = a, a = first + second;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

/* Hexadecimal, and a NUL. */
static void sha256(const unsigned char *bytes, size_t size, char digest[65])
{
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    size_t whole = size / 64 * 64;
    for (size_t at = 0; at < whole; at += 64) sha256_block(state, bytes + at);
    unsigned char last[128] = {0};
    size_t left = size - whole, padded = left < 56 ? 64 : 128;
    memcpy(last, bytes + whole, left);
    last[left] = 0x80;
    for (int i = 0; i < 8; i++) last[padded - 1 - (size_t)i] = (unsigned char)((uint64_t)size << 3 >> 8 * i);
    for (size_t at = 0; at < padded; at += 64) sha256_block(state, last + at);
    for (int i = 0; i < 8; i++) snprintf(digest + 8 * i, 9, "%08x", (unsigned)state[i]);
}

/* JSON (RFC 8259) ------------------------------------------------------------------------------------------------- */

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

/* A value; arrays and objects have children, those of an object have keys. */
struct json {
    const char *key;
    const char *text;
    double number;
    const struct json *first, *next;
    uint32_t count;
    uint8_t type;
    bool integer;
};

/* A document, its texts decoded in its own copy of the source. */
struct json_document {
    struct buffer source, values;
    const struct json *root;
};

#define JSON_DEPTH 64

struct json_parser {
    const char *original; /* the source, of which the copy at `begin` changes while its texts are decoded */
    char *begin, *at;
    struct json *free_value;
    struct json *open[JSON_DEPTH]; /* the arrays and objects around this place */
    struct json *last[JSON_DEPTH]; /* their last children */
    int depth;
    char reason[96];
};

/* What is wrong, with its place as Python's json names it; always false. */
static bool json_wrong(struct json_parser *parser, const char *what, const char *where)
{
    size_t line = 1, column = 1, characters = 0;
    for (const char *at = parser->original; at < parser->original + (where - parser->begin); at++) {
        if (((unsigned char)*at & 0xC0) == 0x80) continue;
        characters++;
        column = *at == '\n' ? 1 : column + 1;
        line += *at == '\n';
    }
    snprintf(parser->reason, sizeof parser->reason, "%s: line %zu column %zu (char %zu)", what, line, column,
             characters);
    return false;
}

static void json_skip_space(struct json_parser *parser)
{
    while (*parser->at && strchr(" \t\r\n", *parser->at)) parser->at++;
}

/* Four hexadecimal digits; -1: they are others. */
static int32_t json_hex(const char *at)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char letter = at[i];
        int digit = letter >= '0' && letter <= '9'   ? letter - '0'
                    : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10
                    : letter >= 'A' && letter <= 'F' ? letter - 'A' + 10
                                                     : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

static char *put_utf8(char *out, int32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const int MARKS[4] = {0, 0xC0, 0xE0, 0xF0};
    *out++ = (char)(MARKS[more] | code >> 6 * more);
    while (more-- > 0) *out++ = (char)(0x80 | (code >> 6 * more & 0x3F));
    return out;
}

/* The character of an escape that begins with a backslash at `*at`, which is moved behind it; -1: it is wrong. */
static int32_t json_escape(struct json_parser *parser, char **at)
{
    static const char LETTERS[] = "\"\\/bfnrt", CHARACTERS[] = "\"\\/\b\f\n\r\t";
    char letter = (*at)[1];
    const char *found = letter ? strchr(LETTERS, letter) : NULL;
    if (found) {
        *at += 2;
        return CHARACTERS[found - LETTERS];
    }
    if (letter != 'u') return json_wrong(parser, "Invalid \\escape", *at), -1;
    int32_t code = json_hex(*at + 2);
    if (code <= 0) return json_wrong(parser, code ? "Invalid \\uXXXX escape" : "A character 0", *at + 1), -1;
    *at += 6;
    if (code >= 0xD800 && code < 0xDC00 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        int32_t low = json_hex(*at + 2);
        if (low >= 0xDC00 && low < 0xE000) {
            *at += 6;
            return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return code;
}

/* Decodes a string in place; `parser->at` is at its first quote. */
static bool json_string(struct json_parser *parser, const char **text)
{
    char *begin = parser->at, *at = begin + 1, *out = at;
    *text = at;
    while (*at != '"') {
        if (!*at) return json_wrong(parser, "Unterminated string starting at", begin);
        if ((unsigned char)*at < 0x20) return json_wrong(parser, "Invalid control character at", at);
        if (*at == '\\') {
            if (!at[1]) return json_wrong(parser, "Unterminated string starting at", begin);
            int32_t code = json_escape(parser, &at);
            if (code < 0) return false;
            out = put_utf8(out, code);
        } else {
            *out++ = *at++;
        }
    }
    *out = 0;
    parser->at = at + 1;
    return true;
}

/* The number at a place, and what is behind it; the same in every locale. */
static double json_number(char **at, bool *integer)
{
    char *place = *at;
    bool negative = *place == '-';
    place += negative;
    uint64_t digits = 0;
    int exponent = 0, power = 0;
    *integer = true;
    for (bool fraction = false;; place++) {
        if (*place == '.' && !fraction && place[1] >= '0' && place[1] <= '9') {
            fraction = true;
            *integer = false;
            continue;
        }
        if (*place < '0' || *place > '9') break;
        if (digits < 100000000000000000u) {
            digits = digits * 10 + (uint64_t)(*place - '0');
            exponent -= fraction;
        } else if (exponent < 10000) {
            exponent += !fraction;
        }
        if (place == *at + negative && *place == '0' && place[1] != '.') { /* no digit follows a leading 0 */
            place++;
            break;
        }
    }
    char *behind = place + 1 + (*place && (place[1] == '-' || place[1] == '+'));
    if ((*place == 'e' || *place == 'E') && *behind >= '0' && *behind <= '9') {
        bool down = place[1] == '-';
        for (; *behind >= '0' && *behind <= '9'; behind++) power = power < 10000 ? power * 10 + (*behind - '0') : power;
        exponent += down ? -power : power;
        place = behind;
        *integer = false;
    }
    *at = place;
    long double value = (long double)digits * powl(10.0L, exponent);
    return (double)(negative ? -value : value);
}

/* A number, true, false, null, or what Python writes as well: NaN and Infinity. */
static bool json_atom(struct json_parser *parser, struct json *value)
{
    static const struct {
        char text[12];
        enum json_type type;
        double number;
    } NAMES[] = {
        {"true", JSON_TRUE, 0},
        {"false", JSON_FALSE, 0},
        {"null", JSON_NULL, 0},
        {"NaN", JSON_NUMBER, (double)NAN},
        {"Infinity", JSON_NUMBER, (double)INFINITY},
        {"-Infinity", JSON_NUMBER, -(double)INFINITY},
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        size_t length = strlen(NAMES[i].text);
        if (strncmp(parser->at, NAMES[i].text, length) == 0) {
            value->type = (uint8_t)NAMES[i].type;
            value->number = NAMES[i].number;
            parser->at += length;
            return true;
        }
    }
    char *digit = parser->at + (*parser->at == '-');
    if (*digit < '0' || *digit > '9') return json_wrong(parser, "Expecting value", parser->at);
    value->type = JSON_NUMBER;
    value->number = json_number(&parser->at, &value->integer);
    return true;
}

/* Adds a value to what is open around it. */
static struct json *json_add(struct json_parser *parser, const char *key)
{
    struct json *value = parser->free_value++;
    *value = (struct json){.key = key};
    if (parser->depth) {
        struct json *parent = parser->open[parser->depth - 1], **last = &parser->last[parser->depth - 1];
        if (*last) (*last)->next = value;
        else parent->first = value;
        *last = value;
        parent->count++;
    }
    return value;
}

/* The key of the next value of an object, and the colon behind it. */
static bool json_key(struct json_parser *parser, const char **key)
{
    json_skip_space(parser);
    if (*parser->at != '"') return json_wrong(parser, "Expecting property name enclosed in double quotes", parser->at);
    if (!json_string(parser, key)) return false;
    json_skip_space(parser);
    if (*parser->at != ':') return json_wrong(parser, "Expecting ':' delimiter", parser->at);
    parser->at++;
    return true;
}

/* Whether an array or object that has just been opened is closed again; what follows is otherwise its first value. */
static bool json_value(struct json_parser *parser, const char *key, bool *opened)
{
    *opened = false;
    json_skip_space(parser);
    char letter = *parser->at;
    struct json *value = json_add(parser, key);
    if (letter == '"') {
        value->type = JSON_TEXT;
        return json_string(parser, &value->text);
    }
    if (letter != '[' && letter != '{') return json_atom(parser, value);
    if (parser->depth == JSON_DEPTH) return json_wrong(parser, "Nested too deeply", parser->at);
    value->type = letter == '[' ? JSON_ARRAY : JSON_OBJECT;
    parser->at++;
    json_skip_space(parser);
    if (*parser->at == (letter == '[' ? ']' : '}')) {
        parser->at++;
        return true;
    }
    parser->last[parser->depth] = NULL;
    parser->open[parser->depth++] = value;
    *opened = true;
    return true;
}

/* Closes what ends here; false: nothing is open any more, or something is wrong. */
static bool json_goes_on(struct json_parser *parser)
{
    while (parser->depth) {
        json_skip_space(parser);
        bool array = parser->open[parser->depth - 1]->type == JSON_ARRAY;
        if (*parser->at == ',') {
            parser->at++;
            return true;
        }
        if (*parser->at != (array ? ']' : '}')) return json_wrong(parser, "Expecting ',' delimiter", parser->at);
        parser->at++;
        parser->depth--;
    }
    return false;
}

static bool json_parse_values(struct json_parser *parser)
{
    bool goes_on = true;
    while (goes_on) {
        const char *key = NULL;
        if (parser->depth && parser->open[parser->depth - 1]->type == JSON_OBJECT && !json_key(parser, &key))
            return false;
        bool opened;
        if (!json_value(parser, key, &opened)) return false;
        goes_on = opened || json_goes_on(parser);
    }
    if (parser->reason[0]) return false;
    json_skip_space(parser);
    return !*parser->at || json_wrong(parser, "Extra data", parser->at);
}

static void json_free(struct json_document *document)
{
    release(&document->source);
    release(&document->values);
    document->root = NULL;
}

/* Reads a document; false with an empty reason: there is no memory. */
static bool json_read(struct json_document *document, const void *bytes, size_t size, char reason[96], w2e_error *error)
{
    static const char MARK[] = "\xEF\xBB\xBF"; /* some editors begin UTF-8 so */
    *document = (struct json_document){0};
    reason[0] = 0;
    char *source = reserve(&document->source, size + 1, 1, error);
    if (!source) return false;
    memcpy(source, bytes, size);
    source[size] = 0;
    /* Every value follows the beginning, a comma or a bracket. */
    size_t most = 1;
    for (size_t i = 0; i < size; i++) most += source[i] == ',' || source[i] == '[' || source[i] == '{';
    struct json *values = reserve(&document->values, most, sizeof *values, error);
    if (!values) {
        json_free(document);
        return false;
    }
    size_t mark = size >= 3 && memcmp(source, MARK, 3) == 0 ? 3 : 0;
    char *begin = source + mark;
    struct json_parser parser = {
        .original = (const char *)bytes + mark, .begin = begin, .at = begin, .free_value = values};
    document->root = values;
    bool fine = json_parse_values(&parser);
    if (fine && parser.at != source + size) fine = json_wrong(&parser, "Extra data", parser.at); /* a character 0 */
    if (!fine) {
        memcpy(reason, parser.reason, sizeof parser.reason);
        json_free(document);
    }
    return fine;
}

/* A value of an object, the last of that name; NULL: there is none, or it is null. */
static const struct json *json_member(const struct json *object, const char *key)
{
    const struct json *found = NULL;
    if (!object || object->type != JSON_OBJECT) return NULL;
    for (const struct json *each = object->first; each; each = each->next)
        if (strcmp(each->key, key) == 0) found = each;
    return found && found->type != JSON_NULL ? found : NULL;
}

static bool json_is_true(const struct json *value)
{
    return value && value->type == JSON_TRUE;
}

/* The bundle ------------------------------------------------------------------------------------------------------ */

#define MAX_LAYERS 32
#define MAX_RANK 8

/* Kernels and strides of the feature encoder, first layer first. */
struct geometry {
    int layers;
    int64_t kernels[MAX_LAYERS], strides[MAX_LAYERS];
    int64_t hop, receptive_field;
    double frame_s;
};

struct ctc_head {
    const char *output; /* NULL: the model has no such head */
    const char **vocabulary;
    const char **cased; /* the tokens in the letter case of transcripts */
    bool *silent;       /* the blank and tokens that are never written */
    bool lower_case;
    size_t size, longest_bytes; /* of the vocabulary, and of the longest text that a token is written as */
    size_t blank;
    const char *delimiter;
    size_t delimiter_id;                    /* SIZE_MAX: there is none */
    const char *delimiter_text, *separator; /* what the delimiter is written as, and what stands between two tokens */
    bool cleans_up;                         /* spaces in front of punctuation and of English short forms are left out */
};

struct class_head {
    const char *output; /* NULL: the model has no such head */
    const char **labels;
    size_t size;
};

/* Logits for each frame. A frame has the likeliest label where labels are exclusive, otherwise any number of them. */
struct frame_head {
    const char *output; /* NULL: the model has no such head */
    const char **labels;
    size_t size;
    bool exclusive;
};

/* A vector for the whole clip, which must have so many frames at least. */
struct embedding_head {
    const char *output; /* NULL: the model has no such head */
    size_t size;
    int64_t fewest_frames;
};

#define HEADS 4

struct heads {
    struct ctc_head ctc;
    struct class_head classes;
    struct frame_head frames;
    struct embedding_head embedding;
};

struct variant {
    const char *name, *file, *precision;
    const char *language;     /* NULL: the model has none */
    const struct json *heads; /* those of a language that is not the bundle's first; NULL: the manifest's */
    bool batched;
};

struct file_record {
    const char *name, *sha256;
    double size_bytes;
};

struct stream_state {
    const char *name, *type;
    int64_t shape[MAX_RANK];
    int rank;
};

/* How a bundle recognises streams and computes nothing twice. */
struct cached_streams {
    int64_t *chunk_frames;
    size_t chunk_count;
    int64_t left_frames, look_ahead_frames, delay_frames;
    struct stream_state *states;
    size_t state_count;
    struct variant *files; /* `name` and `file` of each precision */
    size_t file_count;
};

struct bundle {
    char *folder, *manifest_path;
    struct json_document manifest;
    struct geometry geometry;
    struct heads heads; /* of the variant that is used */
    struct variant *variants;
    size_t variant_count;
    const char *default_variant;
    struct file_record *files;
    size_t file_count;
    struct cached_streams streams;
    double certified_up_to_s, longest_clip_s; /* 0: not known */
    bool is_sealed, hides_word_times, trims_silence;
    double ctc_temperature, class_temperature; /* 0: none */
};

static int64_t frames_of(const struct geometry *geometry, int64_t samples)
{
    for (int i = 0; i < geometry->layers; i++) {
        if (samples < geometry->kernels[i]) return 0;
        samples = (samples - geometry->kernels[i]) / geometry->strides[i] + 1;
    }
    return samples;
}

/* What is read, and what its errors begin with. */
struct manifest_reader {
    struct bundle *bundle;
    struct heads *heads; /* those that are read now */
    w2e_error *error;
};

enum { KIND_INT = -1, KIND_BOOL = -2 };

static bool json_is(const struct json *value, int kind)
{
    bool truth = value->type == JSON_TRUE || value->type == JSON_FALSE;
    if (kind == KIND_BOOL) return truth;
    if (kind == KIND_INT) return value->type == JSON_NUMBER && value->integer && fabs(value->number) < 9e15;
    return value->type == kind;
}

/* A value that must be there and of a kind; NULL: it is not. */
static const struct json *take(struct manifest_reader *reader, const struct json *object, const char *key, int kind)
{
    const struct json *value = json_member(object, key);
    const char *path = reader->bundle->manifest_path;
    if (value && json_is(value, kind)) return value;
    const char *name = kind == KIND_INT     ? "int"
                       : kind == KIND_BOOL  ? "bool"
                       : kind == JSON_TEXT  ? "str"
                       : kind == JSON_ARRAY ? "list"
                                            : "dict";
    if (value) fail(reader->error, MESSAGE_MANIFEST_KEY_TYPE, "path", path, "key", key, "kind", name, NULL);
    else fail(reader->error, MESSAGE_MANIFEST_KEY_MISSING, "path", path, "key", key, NULL);
    return NULL;
}

/* A value as messages show it. */
static struct number json_shown(const struct json *value)
{
    struct number found = {"None"};
    if (!value) return found;
    if (value->type == JSON_NUMBER) return value->integer ? general(value->number, 17) : shown(value->number);
    if (value->type == JSON_TEXT) snprintf(found.text, sizeof found.text, "'%.36s'", value->text);
    if (value->type == JSON_TRUE) return (struct number){"True"};
    if (value->type == JSON_FALSE) return (struct number){"False"};
    if (value->type == JSON_ARRAY) return (struct number){"[...]"};
    if (value->type == JSON_OBJECT) return (struct number){"{...}"};
    return found;
}

static struct number key_shown(const struct json *value)
{
    return json_shown(&(struct json){.type = JSON_TEXT, .text = value->key});
}

/* The texts of an array, in memory of their own; NULL: they are no texts, or there is no memory. */
static const char **take_names(struct manifest_reader *reader, const struct json *object, const char *key,
                               size_t *count)
{
    const struct json *array = take(reader, object, key, JSON_ARRAY);
    if (!array) return NULL;
    const char **names = allocate(array->count, sizeof *names, reader->error);
    if (!names) return NULL;
    *count = 0;
    for (const struct json *each = array->first; each; each = each->next) {
        if (each->type != JSON_TEXT) {
            fail(reader->error, MESSAGE_MANIFEST_NAMES, "path", reader->bundle->manifest_path, "key", key, NULL);
            W2E_FREE(names);
            return NULL;
        }
        names[(*count)++] = each->text;
    }
    return names;
}

static bool repeats(const char *const *names, size_t count, bool *repeated, w2e_error *error)
{
    const char **sorted = allocate(count, sizeof *sorted, error);
    if (!sorted) return false;
    memcpy(sorted, names, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_texts);
    *repeated = false;
    for (size_t i = 1; i < count; i++) *repeated = *repeated || strcmp(sorted[i - 1], sorted[i]) == 0;
    W2E_FREE(sorted);
    return true;
}

/* Lowercase of a character, in the scripts whose letters come in two cases and keep their length in UTF-8. */
static int32_t lower(int32_t code)
{
    if ((code >= 'A' && code <= 'Z') || (code >= 0xC0 && code <= 0xDE && code != 0xD7)) return code + 32;
    if (code == 0x178) return 0xFF;
    if ((code >= 0x1E00 && code <= 0x1E95) || (code >= 0x1EA0 && code <= 0x1EFF)) return code | 1; /* Vietnamese */
    if (code >= 0x100 && code <= 0x17F) { /* Latin Extended-A: pairs, of which some begin with the odd number */
        if (code == 0x130 || code == 0x17F) return code;
        bool odd_first = (code >= 0x139 && code <= 0x148) || code >= 0x179;
        return odd_first ? code + (code & 1) : code + !(code & 1) * (code != 0x138 && code != 0x149);
    }
    if (code >= 0x391 && code <= 0x3A9 && code != 0x3A2) return code + 32; /* Greek */
    if (code >= 0x410 && code <= 0x42F) return code + 32;                  /* Cyrillic */
    if (code >= 0x400 && code <= 0x40F) return code + 80;
    if (code >= 0x460 && code <= 0x52F && !(code >= 0x482 && code <= 0x489) && code != 0x4C0)
        return code >= 0x4C1 && code <= 0x4CE ? code + (code & 1) : code + !(code & 1);
    if (code >= 0x531 && code <= 0x556) return code + 48; /* Armenian */
    return code;
}

/* The code of a character of UTF-8 and how many bytes it takes; what is wrong is taken byte by byte. */
static int32_t take_utf8(const char *text, int *bytes)
{
    unsigned char first = (unsigned char)text[0];
    int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
    int32_t code = more ? first & (0x3F >> more) : first;
    for (int i = 1; i <= more; i++) {
        if (((unsigned char)text[i] & 0xC0) != 0x80) {
            *bytes = 1;
            return first;
        }
        code = code << 6 | ((unsigned char)text[i] & 0x3F);
    }
    *bytes = more + 1;
    return code;
}

/* Whether a character is a letter that comes in two cases, or may be: enough to know where a word in Greek ends. */
static bool is_cased(int32_t code)
{
    return lower(code) != code || (code >= 'a' && code <= 'z') || (code >= 0xC0 && code < 0x590)
           || (code >= 0x1E00 && code < 0x2000);
}

/* Writes text in lowercase, which is up to half as long again; `owners` of its bytes, where given, go with them. */
static size_t lower_text(const char *text, size_t length, const uint32_t *owners, char *out, uint32_t *out_owners)
{
    char *begin = out;
    int32_t before = 0;
    for (size_t at = 0; at < length;) {
        int bytes, next_bytes;
        int32_t code = take_utf8(text + at, &bytes);
        int32_t next = at + (size_t)bytes < length ? take_utf8(text + at + bytes, &next_bytes) : 0;
        int32_t lowered = lower(code);
        if (code == 0x3A3 && is_cased(before) && !is_cased(next)) lowered = 0x3C2; /* the sigma of an end */
        char *piece = out;
        if (code == 0x130) out = put_utf8(put_utf8(out, 'i'), 0x307); /* the dotted I of Turkish */
        else if (lowered != code) out = put_utf8(out, lowered);
        else memcpy(out, text + at, (size_t)bytes), out += bytes;
        for (; owners && piece < out; piece++) out_owners[piece - begin] = owners[at];
        before = code;
        at += (size_t)bytes;
    }
    return (size_t)(out - begin);
}

static char *lower_copy(const char *text, w2e_error *error)
{
    size_t length = strlen(text);
    char *copy = allocate(2 * length + 1, 1, error);
    if (copy) lower_text(text, length, NULL, copy, NULL);
    return copy;
}

/* The cased tokens, and what else is derived from the vocabulary. */
static bool derive_vocabulary(struct ctc_head *head, const struct json *silent_ids, bool lower_case, w2e_error *error)
{
    head->silent = allocate(head->size, sizeof *head->silent, error);
    head->cased = allocate(head->size, sizeof *head->cased, error);
    if (!head->silent || !head->cased) return false;
    head->silent[head->blank] = true;
    head->lower_case = lower_case;
    for (const struct json *id = silent_ids->first; id; id = id->next)
        if (json_is(id, KIND_INT) && id->number >= 0 && id->number < (double)head->size)
            head->silent[(size_t)id->number] = true;
    head->delimiter_id = SIZE_MAX;
    head->longest_bytes = strlen(head->delimiter_text);
    for (size_t i = 0; i < head->size; i++) {
        head->cased[i] = head->vocabulary[i];
        if (lower_case && !(head->cased[i] = lower_copy(head->vocabulary[i], error))) return false;
        size_t bytes = strlen(head->vocabulary[i]);
        if (bytes > head->longest_bytes) head->longest_bytes = bytes;
        if (head->delimiter && strcmp(head->delimiter, head->vocabulary[i]) == 0) head->delimiter_id = i;
    }
    return true;
}

/* How tokens become text; what most tokenizers have may be missing. */
static bool read_text_rules(struct manifest_reader *reader, const struct json *entry)
{
    static const char KEYS[][16] = {"delimiter_text", "token_separator", "clean_up_spaces"};
    struct ctc_head *head = &reader->heads->ctc;
    head->delimiter_text = " ";
    head->separator = "";
    for (const struct json *each = entry->first; each; each = each->next) {
        for (int i = 0; i < 3; i++) {
            if (strcmp(each->key, KEYS[i]) != 0) continue;
            if (!json_is(each, i == 2 ? KIND_BOOL : JSON_TEXT))
                return fail(reader->error, MESSAGE_MANIFEST_TEXT_RULE, "path", reader->bundle->manifest_path, "key",
                            KEYS[i], "value", json_shown(each).text, "kind", i == 2 ? "bool" : "str", NULL);
            if (i == 0) head->delimiter_text = each->text;
            if (i == 1) head->separator = each->text;
            if (i == 2) head->cleans_up = json_is_true(each);
        }
    }
    return true;
}

static bool read_ctc(struct manifest_reader *reader, const struct json *entry)
{
    struct ctc_head *head = &reader->heads->ctc;
    const char *path = reader->bundle->manifest_path;
    const struct json *output = take(reader, entry, "output", JSON_TEXT);
    if (!output || !(head->vocabulary = take_names(reader, entry, "vocabulary", &head->size))) return false;
    const struct json *blank = take(reader, entry, "blank_id", KIND_INT);
    const struct json *silent = blank ? take(reader, entry, "silent_ids", JSON_ARRAY) : NULL;
    const struct json *lower_case = silent ? take(reader, entry, "lower_case", KIND_BOOL) : NULL;
    if (!lower_case) return false;
    if (blank->number < 0 || blank->number >= (double)head->size)
        return fail(reader->error, MESSAGE_MANIFEST_BLANK, "path", path, "blank", integer((int64_t)blank->number).text,
                    "tokens", integer((int64_t)head->size).text, NULL);
    bool repeated;
    if (!repeats(head->vocabulary, head->size, &repeated, reader->error)) return false;
    if (repeated) return fail(reader->error, MESSAGE_MANIFEST_REPEATED_TOKEN, "path", path, NULL);
    if (!read_text_rules(reader, entry)) return false;
    const struct json *delimiter = json_member(entry, "word_delimiter");
    head->delimiter = delimiter && delimiter->type == JSON_TEXT ? delimiter->text : NULL;
    head->blank = (size_t)blank->number;
    if (!derive_vocabulary(head, silent, json_is_true(lower_case), reader->error)) return false;
    head->output = output->text;
    return true;
}

/* The labels of a head, which are its own to free; NULL: they are wrong. */
static const char **take_labels(struct manifest_reader *reader, const struct json *entry, size_t *size)
{
    const char **labels = take_names(reader, entry, "labels", size);
    bool repeated;
    if (!labels || !repeats(labels, *size, &repeated, reader->error)) {
        W2E_FREE(labels);
        return NULL;
    }
    if (*size && !repeated) return labels;
    struct line names = {""}, quoted = {""};
    for (size_t i = 0; i < *size; i++) {
        snprintf(quoted.text, sizeof quoted.text, "'%.100s'", labels[i]);
        line_add(&names, ", ", quoted.text);
    }
    snprintf(quoted.text, sizeof quoted.text, "[%.500s]", names.text);
    fail(reader->error, MESSAGE_MANIFEST_LABELS, "path", reader->bundle->manifest_path, "labels", quoted.text, NULL);
    W2E_FREE(labels);
    return NULL;
}

static bool read_classes(struct manifest_reader *reader, const struct json *entry)
{
    struct class_head *head = &reader->heads->classes;
    const struct json *output = take(reader, entry, "output", JSON_TEXT);
    if (!output || !(head->labels = take_labels(reader, entry, &head->size))) return false;
    head->output = output->text;
    return true;
}

static bool read_frames(struct manifest_reader *reader, const struct json *entry)
{
    struct frame_head *head = &reader->heads->frames;
    const struct json *output = take(reader, entry, "output", JSON_TEXT);
    if (!output || !(head->labels = take_labels(reader, entry, &head->size))) return false;
    const struct json *exclusive = take(reader, entry, "exclusive", KIND_BOOL);
    head->exclusive = json_is_true(exclusive);
    head->output = exclusive ? output->text : NULL;
    return exclusive;
}

static bool read_embedding(struct manifest_reader *reader, const struct json *entry)
{
    struct embedding_head *head = &reader->heads->embedding;
    const struct json *size = take(reader, entry, "size", KIND_INT);
    const struct json *frames = size ? take(reader, entry, "fewest_frames", KIND_INT) : NULL;
    const struct json *output = frames ? take(reader, entry, "output", JSON_TEXT) : NULL;
    if (!output) return false;
    if (size->number < 1 || frames->number < 1 || size->number > 1e6 || frames->number > 1e6)
        return fail(reader->error, MESSAGE_MANIFEST_EMBEDDING, "path", reader->bundle->manifest_path, "size",
                    json_shown(size).text, "frames", json_shown(frames).text, NULL);
    *head = (struct embedding_head){output->text, (size_t)size->number, (int64_t)frames->number};
    return true;
}

static void release_heads(struct heads *heads)
{
    struct ctc_head *ctc = &heads->ctc;
    for (size_t i = 0; ctc->cased && i < ctc->size; i++)
        if (ctc->cased[i] != ctc->vocabulary[i]) W2E_FREE((void *)(uintptr_t)ctc->cased[i]);
    W2E_FREE(ctc->cased);
    W2E_FREE(ctc->silent);
    W2E_FREE(ctc->vocabulary);
    W2E_FREE(heads->classes.labels);
    W2E_FREE(heads->frames.labels);
    *heads = (struct heads){.ctc = {.separator = ""}};
}

/* Reads heads, of which there must be one at least, in place of those that were read before. */
static bool read_heads(struct manifest_reader *reader, const struct json *entry)
{
    static const struct {
        const char *name;
        bool (*read)(struct manifest_reader *, const struct json *);
    } KINDS[HEADS] = {
        {"ctc", read_ctc},
        {"classification", read_classes},
        {"frame_classification", read_frames},
        {"embedding", read_embedding},
    };
    release_heads(reader->heads);
    bool any = false;
    for (int i = 0; i < HEADS; i++) {
        bool there = false;
        for (const struct json *each = entry->first; each; each = each->next)
            there = there || strcmp(each->key, KINDS[i].name) == 0;
        any = any || there;
        const struct json *head = there ? take(reader, entry, KINDS[i].name, JSON_OBJECT) : NULL;
        if (there && (!head || !KINDS[i].read(reader, head))) return false;
    }
    return any || fail(reader->error, MESSAGE_MANIFEST_NO_HEAD, "path", reader->bundle->manifest_path, NULL);
}

static bool read_geometry(struct manifest_reader *reader, const struct json *root)
{
    struct geometry *geometry = &reader->bundle->geometry;
    const char *path = reader->bundle->manifest_path;
    const struct json *kernels = take(reader, root, "conv_kernels", JSON_ARRAY);
    const struct json *strides = kernels ? take(reader, root, "conv_strides", JSON_ARRAY) : NULL;
    const struct json *rate = strides ? take(reader, root, "sample_rate_hz", KIND_INT) : NULL;
    if (!rate) return false;
    if (!kernels->count || kernels->count != strides->count || kernels->count > MAX_LAYERS)
        return fail(reader->error, MESSAGE_MANIFEST_LAYERS, "path", path, "kernels", integer(kernels->count).text,
                    "strides", integer(strides->count).text, NULL);
    bool positive = rate->number >= 1;
    geometry->hop = geometry->receptive_field = 1;
    const struct json *kernel = kernels->first, *stride = strides->first;
    for (; kernel; kernel = kernel->next, stride = stride->next) {
        positive = positive && json_is(kernel, KIND_INT) && json_is(stride, KIND_INT) && kernel->number >= 1
                   && stride->number >= 1 && kernel->number < 1e6 && stride->number < 1e6 && geometry->hop < 1000000;
        if (!positive) break;
        int layer = geometry->layers++;
        geometry->kernels[layer] = (int64_t)kernel->number;
        geometry->strides[layer] = (int64_t)stride->number;
        geometry->receptive_field += (geometry->kernels[layer] - 1) * geometry->hop;
        geometry->hop *= geometry->strides[layer];
    }
    if (!positive) return fail(reader->error, MESSAGE_MANIFEST_NOT_POSITIVE, "path", path, NULL);
    geometry->frame_s = (double)geometry->hop / rate->number;
    return true;
}

/* Whether a record has these keys and no others; the first `required` of them must be there. */
static bool has_keys(const struct json *record, const char (*keys)[12], int count, int required)
{
    if (record->type != JSON_OBJECT) return false;
    int found = 0;
    for (const struct json *each = record->first; each; each = each->next) {
        int place = 0;
        while (place < count && strcmp(keys[place], each->key) != 0) place++;
        if (place == count) return false;
        found += place < required;
    }
    return found == required;
}

static const char *text_of(const struct json *object, const char *key)
{
    const struct json *value = json_member(object, key);
    return value && value->type == JSON_TEXT ? value->text : "";
}

static bool wrong_record(struct manifest_reader *reader, const struct json *record, const char *key)
{
    const char *path = reader->bundle->manifest_path;
    return fail(reader->error, MESSAGE_MANIFEST_RECORD, "path", path, "name", record->key, "key", key, NULL);
}

/* The heads of a variant in a language of its own are read to check them, and once more when it is chosen. */
static bool check_own_heads(struct manifest_reader *reader, const struct json *entry)
{
    struct heads heads = {.ctc = {.output = NULL}};
    struct manifest_reader own = {reader->bundle, &heads, reader->error};
    bool fine = read_heads(&own, entry);
    release_heads(&heads);
    return fine;
}

static bool read_variants(struct manifest_reader *reader, const struct json *root)
{
    static const char KEYS[][12] = {"file", "precision", "operators", "target", "batched", "language", "heads"};
    struct bundle *bundle = reader->bundle;
    const struct json *entry = take(reader, root, "variants", JSON_OBJECT);
    if (!entry || !(bundle->variants = allocate(entry->count, sizeof *bundle->variants, reader->error))) return false;
    for (const struct json *each = entry->first; each; each = each->next) {
        const struct json *heads = json_member(each, "heads"), *language = json_member(each, "language");
        if (!has_keys(each, KEYS, 7, 3) || (heads && heads->type != JSON_OBJECT))
            return wrong_record(reader, each, "variants");
        if (heads && !check_own_heads(reader, heads)) return false;
        bundle->variants[bundle->variant_count++] = (struct variant){
            .name = each->key,
            .file = text_of(each, "file"),
            .precision = text_of(each, "precision"),
            .heads = heads,
            .language = language && language->type == JSON_TEXT ? language->text : NULL,
            .batched = json_is_true(json_member(each, "batched")),
        };
    }
    return true;
}

static bool read_files(struct manifest_reader *reader, const struct json *root)
{
    static const char KEYS[][12] = {"sha256", "size_bytes"};
    struct bundle *bundle = reader->bundle;
    const struct json *entry = take(reader, root, "files", JSON_OBJECT);
    if (!entry || !(bundle->files = allocate(entry->count, sizeof *bundle->files, reader->error))) return false;
    for (const struct json *each = entry->first; each; each = each->next) {
        if (!has_keys(each, KEYS, 2, 2)) return wrong_record(reader, each, "files");
        const struct json *size = json_member(each, "size_bytes");
        bundle->files[bundle->file_count++] =
            (struct file_record){each->key, text_of(each, "sha256"), size ? size->number : -1};
    }
    return true;
}

static bool damaged_stream(struct manifest_reader *reader, const char *reason)
{
    const char *path = reader->bundle->manifest_path;
    return fail(reader->error, MESSAGE_MANIFEST_STREAM_DAMAGED, "path", path, "reason", reason, NULL);
}

static bool read_state(struct manifest_reader *reader, const struct json *entry, struct stream_state *state)
{
    const struct json *shape = json_member(entry, "shape");
    *state = (struct stream_state){.name = entry->key, .type = text_of(entry, "type")};
    if (!shape || shape->type != JSON_ARRAY || shape->count > MAX_RANK) return damaged_stream(reader, "'shape'");
    bool fine =
        strcmp(state->type, "float32") == 0 || strcmp(state->type, "float64") == 0 || strcmp(state->type, "int64") == 0;
    struct line sizes = {""};
    double elements = 1;
    for (const struct json *size = shape->first; size; size = size->next) {
        line_add(&sizes, ", ", json_shown(size).text);
        elements *= size->number;
        fine = fine && json_is(size, KIND_INT) && size->number > 0 && elements < 1e10;
        state->shape[state->rank++] = fine ? (int64_t)size->number : 0;
    }
    if (fine) return true;
    char shown_shape[520];
    snprintf(shown_shape, sizeof shown_shape, "[%.510s]", sizes.text);
    return fail(reader->error, MESSAGE_MANIFEST_STREAM_STATE, "path", reader->bundle->manifest_path, "shape",
                shown_shape, "type", state->type, NULL);
}

/* Frames of a number, at least so many; false: it is none. */
static bool take_frames(const struct json *value, double least, int64_t *frames)
{
    if (!value || !json_is(value, KIND_INT) || value->number < least || value->number > 1e6) return false;
    *frames = (int64_t)value->number;
    return true;
}

static bool read_stream_frames(struct manifest_reader *reader, const struct json *entry, const struct json *chunks)
{
    struct cached_streams *streams = &reader->bundle->streams;
    bool fine = take_frames(json_member(entry, "left_frames"), 1, &streams->left_frames)
                && take_frames(json_member(entry, "look_ahead_frames"), 0, &streams->look_ahead_frames)
                && take_frames(json_member(entry, "delay_frames"), 0, &streams->delay_frames);
    streams->chunk_frames = allocate(chunks->count, sizeof *streams->chunk_frames, reader->error);
    if (!streams->chunk_frames) return false;
    for (const struct json *each = chunks->first; each; each = each->next)
        fine = take_frames(each, 1, &streams->chunk_frames[streams->chunk_count++]) && fine;
    if (fine && streams->chunk_count) return true;
    return fail(reader->error, MESSAGE_MANIFEST_STREAM_CHUNKS, "path", reader->bundle->manifest_path, NULL);
}

static bool read_streams(struct manifest_reader *reader, const struct json *root)
{
    static const char KEYS[][18] = {"chunk_frames", "left_frames", "look_ahead_frames",
                                    "delay_frames", "states",      "files"};
    struct cached_streams *streams = &reader->bundle->streams;
    if (!json_member(root, "stream")) return true;
    const struct json *entry = take(reader, root, "stream", JSON_OBJECT);
    if (!entry) return false;
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        char quoted[40];
        snprintf(quoted, sizeof quoted, "'%.30s'", KEYS[i]);
        if (!json_member(entry, KEYS[i])) return damaged_stream(reader, quoted);
    }
    const struct json *states = json_member(entry, "states"), *files = json_member(entry, "files");
    const struct json *chunks = json_member(entry, "chunk_frames");
    if (states->type != JSON_OBJECT || files->type != JSON_OBJECT || chunks->type != JSON_ARRAY)
        return damaged_stream(reader, "of another type");
    streams->states = allocate(states->count, sizeof *streams->states, reader->error);
    streams->files = allocate(files->count, sizeof *streams->files, reader->error);
    if (!streams->states || !streams->files) return false;
    for (const struct json *each = states->first; each; each = each->next)
        if (!read_state(reader, each, &streams->states[streams->state_count++])) return false;
    for (const struct json *each = files->first; each; each = each->next)
        streams->files[streams->file_count++] =
            (struct variant){.name = each->key, .file = each->type == JSON_TEXT ? each->text : ""};
    return read_stream_frames(reader, entry, chunks);
}

/* A number of seconds that may be missing. */
static bool read_seconds(struct manifest_reader *reader, const struct json *root, const char *key, double *seconds)
{
    const struct json *value = json_member(root, key);
    *seconds = value ? value->number : 0;
    if (!value || (value->type == JSON_NUMBER && value->number > 0)) return true;
    const char *path = reader->bundle->manifest_path;
    return fail(reader->error, MESSAGE_MANIFEST_SECONDS, "path", path, "key", key, "value", json_shown(value).text,
                NULL);
}

static bool read_temperatures(struct manifest_reader *reader, const struct json *root)
{
    static const char KEY[] = "confidence_temperature";
    struct bundle *bundle = reader->bundle;
    if (!json_member(root, KEY)) return true;
    const struct json *entry = take(reader, root, KEY, JSON_OBJECT);
    if (!entry) return false;
    for (const struct json *each = entry->first; each; each = each->next) {
        if (each->type != JSON_NUMBER || !(each->number > 0 && each->number < (double)INFINITY))
            return fail(reader->error, MESSAGE_MANIFEST_TEMPERATURE, "path", bundle->manifest_path, "head", each->key,
                        "value", json_shown(each->type == JSON_NULL ? NULL : each).text, NULL);
        if (strcmp(each->key, "ctc") == 0) bundle->ctc_temperature = each->number;
        if (strcmp(each->key, "classification") == 0) bundle->class_temperature = each->number;
    }
    return true;
}

/* Whether a value that may be missing is true or false, and which. */
static bool read_flag(struct manifest_reader *reader, const struct json *root, const char *key, bool *is_true,
                      bool *is_false)
{
    const struct json *value = json_member(root, key);
    *is_true = value && value->type == JSON_TRUE;
    *is_false = value && value->type == JSON_FALSE;
    return !value || take(reader, root, key, KIND_BOOL);
}

static const struct file_record *find_file(const struct bundle *bundle, const char *name)
{
    for (size_t i = bundle->file_count; i-- > 0;)
        if (strcmp(bundle->files[i].name, name) == 0) return &bundle->files[i];
    return NULL;
}

static const struct variant *find_variant(const struct bundle *bundle, const char *name)
{
    for (size_t i = bundle->variant_count; i-- > 0;)
        if (strcmp(bundle->variants[i].name, name) == 0) return &bundle->variants[i];
    return NULL;
}

/* The names of variants in order, with a quote around each. */
static bool variant_names(const struct variant *const *variants, size_t count, const char *quote, struct line *names,
                          w2e_error *error)
{
    const char **sorted = allocate(count, sizeof *sorted, error);
    if (!sorted) return false;
    for (size_t i = 0; i < count; i++) sorted[i] = variants[i]->name;
    qsort(sorted, count, sizeof *sorted, compare_texts);
    for (size_t i = 0; i < count; i++) {
        char quoted[128];
        snprintf(quoted, sizeof quoted, "%s%.120s%s", quote, sorted[i], quote);
        line_add(names, ", ", quoted);
    }
    W2E_FREE(sorted);
    return true;
}

/* Whether a name points outside the bundle. */
static bool is_outside(const char *name)
{
    bool outside = name[0] == '/' || strchr(name, '\\');
    for (const char *at = name; *at;) {
        size_t size = strcspn(at, "/");
        outside = outside || (size == 2 && at[0] == '.' && at[1] == '.');
        at += size + (at[size] == '/');
    }
    return outside;
}

static bool no_default(struct manifest_reader *reader)
{
    struct bundle *bundle = reader->bundle;
    struct line names = {""};
    char list[520];
    const struct variant **all = allocate(bundle->variant_count, sizeof *all, reader->error);
    for (size_t i = 0; all && i < bundle->variant_count; i++) all[i] = &bundle->variants[i];
    bool fine = all && variant_names(all, bundle->variant_count, "'", &names, reader->error);
    W2E_FREE(all);
    snprintf(list, sizeof list, "[%.510s]", names.text);
    return fine
           && fail(reader->error, MESSAGE_MANIFEST_DEFAULT_VARIANT, "path", bundle->manifest_path, "variant",
                   bundle->default_variant, "variants", list, NULL);
}

/* What parts of the manifest say of each other. */
static bool check_manifest(struct manifest_reader *reader, const struct json *root)
{
    struct bundle *bundle = reader->bundle;
    const char *path = bundle->manifest_path;
    if (!find_variant(bundle, bundle->default_variant)) return no_default(reader);
    for (size_t i = 0; i < bundle->variant_count; i++)
        if (!find_file(bundle, bundle->variants[i].file))
            return fail(reader->error, MESSAGE_MANIFEST_VARIANT_FILE, "path", path, "variant",
                        bundle->variants[i].precision, "file", bundle->variants[i].file, NULL);
    for (size_t i = 0; i < bundle->streams.file_count; i++)
        if (!find_file(bundle, bundle->streams.files[i].file))
            return fail(reader->error, MESSAGE_MANIFEST_STREAM_FILE, "path", path, "variant",
                        bundle->streams.files[i].name, "file", bundle->streams.files[i].file, NULL);
    const struct json *rate = json_member(root, "sample_rate_hz");
    if (rate->number != RATE_HZ)
        return fail(reader->error, MESSAGE_MANIFEST_SAMPLE_RATE, "path", path, "rate", json_shown(rate).text, NULL);
    for (size_t i = 0; i < bundle->file_count; i++)
        if (is_outside(bundle->files[i].name))
            return fail(reader->error, MESSAGE_MANIFEST_OUTSIDE, "path", path, "file", bundle->files[i].name, NULL);
    return true;
}

#define FORMAT_VERSION 2
#define SEALED_SINCE 2 /* the first version whose manifests end with a digest of themselves */
#define SEAL "content_sha256"

/* Whether the end of a manifest is the SHA-256 of what is above it, byte for byte. */
static bool is_sealed(const char *bytes, size_t size)
{
    char digest[65], last[sizeof SEAL + 96];
    size_t length = (size_t)snprintf(last, sizeof last, "  \"%s\": \"%064d\"\n}\n", SEAL, 0);
    if (size < length) return false;
    sha256((const unsigned char *)bytes, size - length, digest);
    snprintf(last, sizeof last, "  \"%s\": \"%s\"\n}\n", SEAL, digest);
    return memcmp(bytes + size - length, last, length) == 0;
}

static bool read_format(struct manifest_reader *reader, const struct json *root)
{
    const char *path = reader->bundle->manifest_path;
    if (strcmp(text_of(root, "format"), "wav2edge-bundle") != 0)
        return fail(reader->error, MESSAGE_MANIFEST_WRONG_FORMAT, "path", path, NULL);
    const struct json *version = json_member(root, "format_version");
    if (!version || !json_is(version, KIND_INT) || version->number < 1)
        return fail(reader->error, MESSAGE_MANIFEST_BAD_VERSION, "path", path, "version", json_shown(version).text,
                    NULL);
    if (version->number > FORMAT_VERSION)
        return fail(reader->error, MESSAGE_MANIFEST_TOO_NEW, "path", path, "version", json_shown(version).text,
                    "upgrade", "build a newer wav2edge", NULL);
    bool expected = version->number >= SEALED_SINCE || json_member(root, SEAL);
    if (expected && !reader->bundle->is_sealed)
        return fail(reader->error, MESSAGE_MANIFEST_UNSEALED, "path", path, NULL);
    return true;
}

static bool read_manifest(struct manifest_reader *reader, const struct json *root)
{
    struct bundle *bundle = reader->bundle;
    const struct json *heads;
    bool unused;
    if (!read_format(reader, root) || !take(reader, root, "name", JSON_TEXT)
        || !take(reader, root, "model_type", JSON_TEXT) || !(heads = take(reader, root, "heads", JSON_OBJECT))
        || !read_heads(reader, heads) || !read_geometry(reader, root) || !read_variants(reader, root))
        return false;
    const struct json *variant = take(reader, root, "default_variant", JSON_TEXT);
    if (!variant || !read_files(reader, root) || !take(reader, root, "parameters", KIND_INT)
        || !take(reader, root, "macs_per_s", KIND_INT))
        return false;
    bundle->default_variant = variant->text;
    return read_seconds(reader, root, "certified_up_to_s", &bundle->certified_up_to_s)
           && read_seconds(reader, root, "longest_clip_s", &bundle->longest_clip_s)
           && read_flag(reader, root, "word_times", &unused, &bundle->hides_word_times)
           && read_flag(reader, root, "trims_silence", &bundle->trims_silence, &unused)
           && read_temperatures(reader, root)
           && (!json_member(root, "decoder") || take(reader, root, "decoder", JSON_OBJECT))
           && read_streams(reader, root) && take(reader, root, "made_with", JSON_OBJECT)
           && check_manifest(reader, root);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* A folder without a manifest: is it one, and is it a checkpoint of PyTorch? */
static bool not_a_bundle(const char *folder, w2e_error *error)
{
    bool config = false, weights = false;
    DIR *listing = opendir(folder);
    if (!listing && errno == ENOENT) return fail(error, MESSAGE_BUNDLE_NO_FOLDER, "folder", folder, NULL);
    if (!listing && errno == ENOTDIR) return fail(error, MESSAGE_BUNDLE_IS_FILE, "folder", folder, NULL);
    for (struct dirent *entry; listing && (entry = readdir(listing)) != NULL;) {
        const char *name = entry->d_name;
        config = config || strcmp(name, "config.json") == 0;
        weights = weights || ends_with(name, ".safetensors")
                  || (strncmp(name, "pytorch_model", 13) == 0 && ends_with(name, ".bin"));
    }
    if (listing) closedir(listing);
    bool checkpoint = config && weights;
    return fail(error, checkpoint ? MESSAGE_BUNDLE_IS_CHECKPOINT : MESSAGE_BUNDLE_NO_MANIFEST, "folder", folder, NULL);
}

static void close_bundle(struct bundle *bundle)
{
    release_heads(&bundle->heads);
    W2E_FREE(bundle->variants);
    W2E_FREE(bundle->files);
    W2E_FREE(bundle->streams.chunk_frames);
    W2E_FREE(bundle->streams.states);
    W2E_FREE(bundle->streams.files);
    json_free(&bundle->manifest);
    W2E_FREE(bundle->folder);
    W2E_FREE(bundle->manifest_path);
    *bundle = (struct bundle){0};
}

/* Reads a manifest from memory; the bundle has its folder and the manifest's path already. */
static bool parse_manifest(struct bundle *bundle, const void *bytes, size_t size, w2e_error *error)
{
    char reason[96];
    struct manifest_reader reader = {bundle, &bundle->heads, error};
    bundle->is_sealed = is_sealed(bytes, size);
    if (json_read(&bundle->manifest, bytes, size, reason, error)) return read_manifest(&reader, bundle->manifest.root);
    if (!reason[0]) return false;
    return fail(error, MESSAGE_MANIFEST_NOT_JSON, "path", bundle->manifest_path, "reason", reason, NULL);
}

/* Opens a bundle by its manifest. No other file in it is trusted before it is checked against the manifest. */
static bool open_bundle(struct bundle *bundle, const char *folder, w2e_error *error)
{
    *bundle = (struct bundle){0};
    bundle->folder = clean_path(folder, "", error);
    bundle->manifest_path = clean_path(folder, "manifest.json", error);
    if (!bundle->folder || !bundle->manifest_path) return false;
    struct mapped_file file;
    bool fine;
    if (map_file(bundle->manifest_path, &file)) fine = parse_manifest(bundle, file.bytes, file.size, error);
    else if (errno == ENOENT || errno == ENOTDIR) fine = not_a_bundle(bundle->folder, error);
    else fine = fail(error, MESSAGE_BUNDLE_UNREADABLE, "path", bundle->manifest_path, "reason", strerror(errno), NULL);
    unmap_file(&file);
    return fine;
}

static bool same_language(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) == 0 : one == other;
}

/* The variants in a language, of which there are none; always NULL. */
static const struct variant *no_language(const struct bundle *bundle, const char *language, w2e_error *error)
{
    struct line names = {""};
    const char *first = find_variant(bundle, bundle->default_variant)->language;
    if (first) line_add(&names, ", ", first);
    for (size_t i = 0; i < bundle->variant_count; i++) {
        const char *each = bundle->variants[i].language;
        bool named = !each || same_language(each, first);
        for (size_t k = 0; k < i; k++) named = named || same_language(each, bundle->variants[k].language);
        if (!named) line_add(&names, ", ", each);
    }
    fail(error, MESSAGE_LANGUAGE_UNKNOWN, "folder", bundle->folder, "language", language, "languages",
         names.text[0] ? names.text : "none, so leave the language out", NULL);
    return NULL;
}

/* The variant of a name or precision among some; where there is no name, the default one, or one of its precision. */
static const struct variant *choose_among(const struct bundle *bundle, const struct variant *const *variants,
                                          size_t count, const char *name)
{
    const struct variant *standard = find_variant(bundle, bundle->default_variant), *alike = NULL;
    const char *precision = name ? name : standard->precision;
    for (size_t i = 0; i < count; i++) {
        if (name ? strcmp(variants[i]->name, name) == 0 : variants[i] == standard) return variants[i];
        if (!alike && strcmp(variants[i]->precision, precision) == 0) alike = variants[i];
    }
    return alike || name ? alike : variants[0];
}

/* The variant of a name and a language, or those of the default; NULL: there is none. */
static const struct variant *choose_variant(const struct bundle *bundle, const char *name, const char *language,
                                            w2e_error *error)
{
    const char *wanted = language ? language : find_variant(bundle, bundle->default_variant)->language;
    const struct variant **variants = allocate(bundle->variant_count, sizeof *variants, error);
    size_t count = 0;
    if (!variants) return NULL;
    for (size_t i = 0; i < bundle->variant_count; i++)
        if (same_language(bundle->variants[i].language, wanted)) variants[count++] = &bundle->variants[i];
    const struct variant *chosen =
        count ? choose_among(bundle, variants, count, name) : no_language(bundle, wanted, error);
    if (count && !chosen && !language) chosen = find_variant(bundle, name); /* of another language, by its whole name */
    struct line names = {""};
    if (count && !chosen && variant_names(variants, count, "", &names, error))
        fail(error, MESSAGE_VARIANT_UNKNOWN, "folder", bundle->folder, "variant", name, "variants", names.text, NULL);
    W2E_FREE(variants);
    return chosen;
}

/* Maps a listed file after checking its size and, if wanted, its digest. */
static bool map_listed(const struct bundle *bundle, const char *name, bool digest, struct mapped_file *file,
                       w2e_error *error)
{
    const struct file_record *record = find_file(bundle, name);
    *file = (struct mapped_file){0};
    if (!record) return fail(error, MESSAGE_FILE_UNLISTED, "folder", bundle->folder, "name", name, NULL);
    char *path = clean_path(bundle->folder, name, error), found[65];
    if (!path) return false;
    bool fine = map_file(path, file);
    if (!fine) {
        const char *reason = strerror(errno);
        fail(error, errno == ENOENT ? MESSAGE_FILE_MISSING : MESSAGE_BUNDLE_UNREADABLE, "path", path, "reason", reason,
             NULL);
    } else if ((double)file->size != record->size_bytes) {
        fine = fail(error, MESSAGE_FILE_SIZE, "path", path, "bytes", integer((int64_t)file->size).text, "expected",
                    general(record->size_bytes, 15).text, NULL);
    } else if (digest) {
        sha256(file->bytes, file->size, found);
        fine = strcmp(found, record->sha256) == 0 || fail(error, MESSAGE_FILE_DIGEST, "path", path, NULL);
    }
    W2E_FREE(path);
    if (!fine) unmap_file(file);
    return fine;
}

/* ONNX Runtime ---------------------------------------------------------------------------------------------------- */

#ifndef W2E_ORT_HEADER
typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtValue OrtValue;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtIoBinding OrtIoBinding;
typedef struct OrtApi OrtApi;
typedef struct OrtApiBase {
    const OrtApi *(*GetApi)(uint32_t version);
    const char *(*GetVersionString)(void);
} OrtApiBase;
#endif

/* The functions that are used, with their places in ONNX Runtime's table: it only ever grows at its end, so that they
 * are the same in every release. */
#define ORT_FUNCTIONS(FUNCTION)                                                                                    \
    FUNCTION(1, int, GetErrorCode, (const OrtStatus *))                                                            \
    FUNCTION(2, const char *, GetErrorMessage, (const OrtStatus *))                                                \
    FUNCTION(3, OrtStatus *, CreateEnv, (int severity, const char *name, OrtEnv **))                               \
    FUNCTION(7, OrtStatus *, CreateSession,                                                                        \
             (const OrtEnv *, const char *path, const OrtSessionOptions *, OrtSession **))                         \
    FUNCTION(8, OrtStatus *, CreateSessionFromArray,                                                               \
             (const OrtEnv *, const void *, size_t bytes, const OrtSessionOptions *, OrtSession **))               \
    FUNCTION(9, OrtStatus *, Run,                                                                                  \
             (OrtSession *, const OrtRunOptions *, const char *const *, const OrtValue *const *, size_t inputs,    \
              const char *const *, size_t outputs, OrtValue **))                                                   \
    FUNCTION(10, OrtStatus *, CreateSessionOptions, (OrtSessionOptions **))                                        \
    FUNCTION(17, OrtStatus *, DisableMemPattern, (OrtSessionOptions *))                                            \
    FUNCTION(22, OrtStatus *, SetSessionLogSeverityLevel, (OrtSessionOptions *, int))                              \
    FUNCTION(24, OrtStatus *, SetIntraOpNumThreads, (OrtSessionOptions *, int))                                    \
    FUNCTION(25, OrtStatus *, SetInterOpNumThreads, (OrtSessionOptions *, int))                                    \
    FUNCTION(30, OrtStatus *, SessionGetInputCount, (const OrtSession *, size_t *))                                \
    FUNCTION(31, OrtStatus *, SessionGetOutputCount, (const OrtSession *, size_t *))                               \
    FUNCTION(33, OrtStatus *, SessionGetInputTypeInfo, (const OrtSession *, size_t, OrtTypeInfo **))               \
    FUNCTION(34, OrtStatus *, SessionGetOutputTypeInfo, (const OrtSession *, size_t, OrtTypeInfo **))              \
    FUNCTION(36, OrtStatus *, SessionGetInputName, (const OrtSession *, size_t, OrtAllocator *, char **))          \
    FUNCTION(37, OrtStatus *, SessionGetOutputName, (const OrtSession *, size_t, OrtAllocator *, char **))         \
    FUNCTION(39, OrtStatus *, CreateRunOptions, (OrtRunOptions **))                                                \
    FUNCTION(49, OrtStatus *, CreateTensorWithDataAsOrtValue,                                                      \
             (const OrtMemoryInfo *, void *, size_t bytes, const int64_t *, size_t rank, int type, OrtValue **))   \
    FUNCTION(51, OrtStatus *, GetTensorMutableData, (OrtValue *, void **))                                         \
    FUNCTION(55, OrtStatus *, CastTypeInfoToTensorInfo, (const OrtTypeInfo *, const OrtTensorTypeAndShapeInfo **)) \
    FUNCTION(60, OrtStatus *, GetTensorElementType, (const OrtTensorTypeAndShapeInfo *, int *))                    \
    FUNCTION(61, OrtStatus *, GetDimensionsCount, (const OrtTensorTypeAndShapeInfo *, size_t *))                   \
    FUNCTION(62, OrtStatus *, GetDimensions, (const OrtTensorTypeAndShapeInfo *, int64_t *, size_t))               \
    FUNCTION(65, OrtStatus *, GetTensorTypeAndShape, (const OrtValue *, OrtTensorTypeAndShapeInfo **))             \
    FUNCTION(69, OrtStatus *, CreateCpuMemoryInfo, (int allocator, int memory, OrtMemoryInfo **))                  \
    FUNCTION(76, OrtStatus *, AllocatorFree, (OrtAllocator *, void *))                                             \
    FUNCTION(78, OrtStatus *, GetAllocatorWithDefaultOptions, (OrtAllocator **))                                   \
    FUNCTION(92, void, ReleaseEnv, (OrtEnv *))                                                                     \
    FUNCTION(93, void, ReleaseStatus, (OrtStatus *))                                                               \
    FUNCTION(94, void, ReleaseMemoryInfo, (OrtMemoryInfo *))                                                       \
    FUNCTION(95, void, ReleaseSession, (OrtSession *))                                                             \
    FUNCTION(96, void, ReleaseValue, (OrtValue *))                                                                 \
    FUNCTION(97, void, ReleaseRunOptions, (OrtRunOptions *))                                                       \
    FUNCTION(98, void, ReleaseTypeInfo, (OrtTypeInfo *))                                                           \
    FUNCTION(99, void, ReleaseTensorTypeAndShapeInfo, (OrtTensorTypeAndShapeInfo *))                               \
    FUNCTION(100, void, ReleaseSessionOptions, (OrtSessionOptions *))                                              \
    FUNCTION(124, OrtStatus *, AddFreeDimensionOverrideByName, (OrtSessionOptions *, const char *, int64_t))       \
    FUNCTION(130, OrtStatus *, AddSessionConfigEntry, (OrtSessionOptions *, const char *, const char *))           \
    FUNCTION(133, OrtStatus *, RunWithBinding, (OrtSession *, const OrtRunOptions *, const OrtIoBinding *))        \
    FUNCTION(134, OrtStatus *, CreateIoBinding, (OrtSession *, OrtIoBinding **))                                   \
    FUNCTION(135, void, ReleaseIoBinding, (OrtIoBinding *))                                                        \
    FUNCTION(136, OrtStatus *, BindInput, (OrtIoBinding *, const char *, const OrtValue *))                        \
    FUNCTION(137, OrtStatus *, BindOutput, (OrtIoBinding *, const char *, const OrtValue *))                       \
    FUNCTION(165, OrtStatus *, AddRunConfigEntry, (OrtRunOptions *, const char *, const char *))

/* The version of the table that has the last of them. */
#define ORT_TABLE_VERSION 8
/* The first version that looks for weights in the folder that it is told. */
#define ORT_LEAST_MINOR 21
#define ORT_LEAST "1.21"
#define ORT_LOG_FATAL 4
#define ORT_ARENA_ALLOCATOR 1 /* OrtArenaAllocator */
#define ORT_DEFAULT_MEMORY 0  /* OrtMemTypeDefault */

enum element_type { ELEMENT_FLOAT = 1, ELEMENT_INT64 = 7, ELEMENT_BOOL = 9, ELEMENT_DOUBLE = 11 };

#ifdef W2E_ORT_HEADER
#define CHECK_PLACE(place, type, name, parameters) \
    _Static_assert(offsetof(OrtApi, name) == (place) * sizeof(void *), #name " is at another place");
ORT_FUNCTIONS(CHECK_PLACE)
_Static_assert(ORT_API_VERSION >= ORT_TABLE_VERSION, "this header is older than the functions that are used");
_Static_assert(ELEMENT_FLOAT == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, "float32 is another number");
_Static_assert(ELEMENT_INT64 == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, "int64 is another number");
_Static_assert(ELEMENT_BOOL == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, "bool is another number");
_Static_assert(ELEMENT_DOUBLE == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, "float64 is another number");
_Static_assert(ORT_LOG_FATAL == ORT_LOGGING_LEVEL_FATAL, "the severity is another number");
_Static_assert(ORT_ARENA_ALLOCATOR == OrtArenaAllocator, "the allocator is another number");
_Static_assert(ORT_DEFAULT_MEMORY == OrtMemTypeDefault, "the memory type is another number");
#endif

struct ort {
    void *library;
    const char *version;
    OrtEnv *env;
    OrtMemoryInfo *memory;
    OrtAllocator *allocator;
#define FIELD(place, type, name, parameters) type(*name) parameters;
    ORT_FUNCTIONS(FIELD)
#undef FIELD
};

struct reason {
    char text[700];
};

/* Puts a status into words, as the Python package of ONNX Runtime does, and releases it. */
static struct reason reason_of(const struct ort *ort, OrtStatus *status)
{
    static const char NAMES[][20] = {
        "SUCCESS",           "FAIL",
        "INVALID_ARGUMENT",  "NO_SUCHFILE",
        "NO_MODEL",          "ENGINE_ERROR",
        "RUNTIME_EXCEPTION", "INVALID_PROTOBUF",
        "MODEL_LOADED",      "NOT_IMPLEMENTED",
        "INVALID_GRAPH",     "EP_FAIL",
    };
    struct reason reason;
    int code = ort->GetErrorCode(status);
    const char *name = code >= 0 && code < (int)(sizeof NAMES / sizeof *NAMES) ? NAMES[code] : "GENERAL ERROR";
    snprintf(reason.text, sizeof reason.text, "[ONNXRuntimeError] : %d : %s : %s", code, name,
             ort->GetErrorMessage(status));
    ort->ReleaseStatus(status);
    char *out = reason.text; /* in one line */
    for (const char *at = out; *at; at++) {
        bool space = strchr(" \t\r\n", *at) != NULL;
        if (!space) *out++ = *at;
        else if (out > reason.text && out[-1] != ' ') *out++ = ' ';
    }
    if (out > reason.text && out[-1] == ' ') out--;
    *out = 0;
    return reason;
}

#ifdef W2E_LINK_ORT
#ifndef W2E_ORT_HEADER
extern const OrtApiBase *OrtGetApiBase(void);
#endif

static const OrtApiBase *find_runtime(struct ort *ort, const char *path, w2e_error *error)
{
    (void)ort, (void)path, (void)error;
    return OrtGetApiBase();
}
#else
static const OrtApiBase *find_runtime(struct ort *ort, const char *path, w2e_error *error)
{
#if defined(__APPLE__)
    static const char *const NAMES[] = {"libonnxruntime.dylib", "onnxruntime.framework/onnxruntime"};
#else
    static const char *const NAMES[] = {"libonnxruntime.so", "libonnxruntime.so.1"};
#endif
    enum message missing = path ? MESSAGE_RUNTIME_NOT_THERE : MESSAGE_RUNTIME_NOT_FOUND;
    if (!path) path = getenv("WAV2EDGE_ORT");
    if (path && *path) ort->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; !(path && *path) && !ort->library && i < sizeof NAMES / sizeof *NAMES; i++)
        ort->library = dlopen(NAMES[i], RTLD_NOW | RTLD_LOCAL);
    void *symbol = ort->library ? dlsym(ort->library, "OrtGetApiBase") : NULL;
    if (!symbol) {
        const char *reason = dlerror();
        fail(error, missing, "reason", reason ? reason : "unknown", NULL);
        return NULL;
    }
    const OrtApiBase *(*get_base)(void);
    memcpy(&get_base, &symbol, sizeof get_base);
    return get_base();
}
#endif

static void close_runtime(struct ort *ort)
{
    if (ort->memory) ort->ReleaseMemoryInfo(ort->memory);
    if (ort->env) ort->ReleaseEnv(ort->env);
    /* The library stays loaded: its threads and thread-local objects do not survive being unloaded. */
    *ort = (struct ort){0};
}

static bool open_runtime(struct ort *ort, const char *path, w2e_error *error)
{
    *ort = (struct ort){0};
    const OrtApiBase *base = find_runtime(ort, path, error);
    if (!base) return false;
    ort->version = base->GetVersionString();
    bool too_old = strncmp(ort->version, "1.", 2) == 0 && strtod(ort->version + 2, NULL) < ORT_LEAST_MINOR;
    const OrtApi *api = too_old ? NULL : base->GetApi(ORT_TABLE_VERSION);
    if (!api) return fail(error, MESSAGE_RUNTIME_TOO_OLD, "version", ort->version, "least", ORT_LEAST, NULL);
#define PLACE(place, type, name, parameters) place,
    static const unsigned char PLACES[] = {ORT_FUNCTIONS(PLACE)};
#undef PLACE
    const char *table = (const char *)(const void *)api;
    char *functions = (char *)ort + offsetof(struct ort, GetErrorCode); /* the first of them */
    for (size_t i = 0; i < sizeof PLACES; i++)
        memcpy(functions + i * sizeof(void (*)(void)), table + PLACES[i] * sizeof(void (*)(void)),
               sizeof(void (*)(void)));
    OrtStatus *status = ort->CreateEnv(ORT_LOG_FATAL, "wav2edge", &ort->env);
    if (!status) status = ort->CreateCpuMemoryInfo(ORT_ARENA_ALLOCATOR, ORT_DEFAULT_MEMORY, &ort->memory);
    if (!status) status = ort->GetAllocatorWithDefaultOptions(&ort->allocator);
    return !status
           || fail(error, MESSAGE_DEVICE_UNUSABLE, "device", "cpu", "reason", reason_of(ort, status).text, NULL);
}

/* Graphs without their weights ------------------------------------------------------------------------------------ */

/* ONNX Runtime copies the weights of a graph that it reads, but maps those that lie in another file: it is given the
 * graph with each large weight declared as external data, whose place is in the same file. The file is Protocol Buffers
 * (https://protobuf.dev/programming-guides/encoding) of the schema onnx.proto. */

#define LARGE_BYTES 65536
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2, WIRE_FIXED32 = 5 };
enum {
    MODEL_GRAPH = 7,
    GRAPH_INITIALIZER = 5,
    TENSOR_RAW_DATA = 9,
    TENSOR_EXTERNAL_DATA = 13,
    TENSOR_DATA_LOCATION = 14
};

struct field {
    uint64_t number;
    int wire_type;
    size_t start, content, end;
};

struct message_out {
    struct buffer buffer;
    size_t size;
};

static bool read_varint(const struct mapped_file *file, size_t *position, uint64_t *value)
{
    *value = 0;
    for (unsigned count = 0; count < 10 && *position < file->size; count++) {
        unsigned char byte = file->bytes[(*position)++];
        *value |= (uint64_t)(byte & 0x7F) << (count < 9 ? 7 * count : 63);
        if (byte < 0x80) return true;
    }
    return false;
}

/* The next field of a message that ends at a position; false: the file is damaged. */
static bool read_field(const struct mapped_file *file, size_t position, size_t end, struct field *field)
{
    uint64_t tag, size;
    field->start = position;
    if (!read_varint(file, &position, &tag)) return false;
    field->number = tag >> 3;
    field->wire_type = (int)(tag & 7);
    field->content = position;
    size_t behind = position;
    switch (field->wire_type) {
    case WIRE_LENGTH:
        if (!read_varint(file, &position, &size)) return false;
        field->content = position;
        break;
    case WIRE_VARINT:
        if (!read_varint(file, &behind, &size)) return false;
        size = behind - position;
        break;
    case WIRE_FIXED64: size = 8; break;
    case WIRE_FIXED32: size = 4; break;
    default: return false;
    }
    if (field->number == 0 || field->content > end || size > end - field->content) return false;
    field->end = field->content + (size_t)size;
    return true;
}

static bool put(struct message_out *out, const void *bytes, size_t size, w2e_error *error)
{
    unsigned char *data = reserve(&out->buffer, out->size + size, 1, error);
    if (!data) return false;
    if (size) memcpy(data + out->size, bytes, size);
    out->size += size;
    return true;
}

static bool put_varint(struct message_out *out, uint64_t value, w2e_error *error)
{
    unsigned char bytes[10];
    size_t size = 0;
    for (; value > 0x7F; value >>= 7) bytes[size++] = (unsigned char)((value & 0x7F) | 0x80);
    bytes[size++] = (unsigned char)value;
    return put(out, bytes, size, error);
}

static bool put_message(struct message_out *out, int number, const void *bytes, size_t size, w2e_error *error)
{
    return put_varint(out, (uint64_t)number << 3 | WIRE_LENGTH, error) && put_varint(out, size, error)
           && put(out, bytes, size, error);
}

/* One key and its value of the place of a weight. */
static bool put_entry(struct message_out *out, const char *key, const char *value, w2e_error *error)
{
    struct message_out entry = {0};
    bool fine = put_message(&entry, 1, key, strlen(key), error) && put_message(&entry, 2, value, strlen(value), error)
                && put_message(out, TENSOR_EXTERNAL_DATA, entry.buffer.data, entry.size, error);
    release(&entry.buffer);
    return fine;
}

/* What a tensor's field becomes: a large weight its place in the file. */
static bool put_tensor_field(const struct mapped_file *file, const struct field *field, const char *name,
                             struct message_out *out, w2e_error *error)
{
    static const unsigned char EXTERNAL[] = {TENSOR_DATA_LOCATION << 3 | WIRE_VARINT, 1};
    size_t size = field->end - field->content;
    if (field->number == TENSOR_RAW_DATA && field->wire_type == WIRE_LENGTH && size >= LARGE_BYTES)
        return put_entry(out, "location", name, error)
               && put_entry(out, "offset", integer((int64_t)field->content).text, error)
               && put_entry(out, "length", integer((int64_t)size).text, error)
               && put(out, EXTERNAL, sizeof EXTERNAL, error);
    if (field->number == TENSOR_DATA_LOCATION) return true; /* the last one would count */
    return put(out, file->bytes + field->start, field->end - field->start, error);
}

/* A message with the large weights replaced: a model (level 0), its graph (1), or a tensor of that (2). */
static bool put_without_weights(const struct mapped_file *file, size_t position, size_t end, int level,
                                const char *name, struct message_out *out, w2e_error *error)
{
    static const int INNER[2] = {MODEL_GRAPH, GRAPH_INITIALIZER};
    struct field field;
    while (position < end) {
        if (!read_field(file, position, end, &field)) return false;
        position = field.end;
        bool tensor = level == 2;
        bool inside = !tensor && field.number == (uint64_t)INNER[level] && field.wire_type == WIRE_LENGTH;
        if (level == 1 && field.end - field.content < LARGE_BYTES) inside = false;
        bool fine;
        if (inside) {
            struct message_out inner = {0};
            fine = put_without_weights(file, field.content, field.end, level + 1, name, &inner, error)
                   && put_message(out, INNER[level], inner.buffer.data, inner.size, error);
            release(&inner.buffer);
        } else if (tensor) {
            fine = put_tensor_field(file, &field, name, out, error);
        } else {
            fine = put(out, file->bytes + field.start, field.end - field.start, error);
        }
        if (!fine) return false;
    }
    return true;
}

/* Sessions -------------------------------------------------------------------------------------------------------- */

/* Above this length a call takes seconds, and allocating memory anew costs next to nothing. */
#define LONG_SAMPLES (15 * RATE_HZ)
#define INPUT "input_values"
#define MASK "attention_mask"

struct names {
    char **items;
    size_t count;
};

/* A graph that is open. */
struct session {
    const struct ort *ort;
    char *path;
    OrtSession *handle;
    OrtRunOptions *usual, *shrinking; /* the latter gives memory that one long clip needed back to the system */
    struct names inputs, outputs;
};

struct session_options {
    int threads;
    bool spinning;
    int64_t block_samples; /* length of the dynamic axis of a stream's graph; 0: it has none */
};

/* Cores that this process may run on, hyper-threads counted once and a container's CPU quota respected. */
static int physical_cores(void)
{
#if defined(__linux__)
    cpu_set_t allowed, cores;
    CPU_ZERO(&cores);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        char path[96];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%zu/topology/thread_siblings_list", cpu);
        FILE *file = fopen(path, "r");
        size_t first = cpu;
        if (file && (fscanf(file, "%zu", &first) != 1 || first >= CPU_SETSIZE)) first = cpu;
        if (file) fclose(file);
        CPU_SET(first, &cores);
    }
    int count = CPU_COUNT(&cores), limit = count;
    long long quota, period;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (file && fscanf(file, "%lld %lld", &quota, &period) == 2 && period > 0) limit = (int)(quota / period);
    if (file) fclose(file);
    if (limit < 1) limit = 1;
    return limit < count ? limit : count;
#else
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus >= 4 ? (int)(cpus / 2) : 1;
#endif
}

static void free_names(struct names *names)
{
    for (size_t i = 0; names->items && i < names->count; i++) W2E_FREE(names->items[i]);
    W2E_FREE(names->items);
    *names = (struct names){0};
}

static void close_session(struct session *session)
{
    const struct ort *ort = session->ort;
    if (session->handle) ort->ReleaseSession(session->handle);
    if (session->usual) ort->ReleaseRunOptions(session->usual);
    if (session->shrinking) ort->ReleaseRunOptions(session->shrinking);
    free_names(&session->inputs);
    free_names(&session->outputs);
    W2E_FREE(session->path);
    *session = (struct session){0};
}

static bool read_names(struct session *session, bool outputs, w2e_error *error)
{
    const struct ort *ort = session->ort;
    struct names *names = outputs ? &session->outputs : &session->inputs;
    size_t count = 0;
    OrtStatus *status = (outputs ? ort->SessionGetOutputCount : ort->SessionGetInputCount)(session->handle, &count);
    if (!status && !(names->items = allocate(count, sizeof *names->items, error))) return false;
    for (size_t i = 0; !status && i < count; i++) {
        char *name = NULL;
        status =
            (outputs ? ort->SessionGetOutputName : ort->SessionGetInputName)(session->handle, i, ort->allocator, &name);
        if (status) break;
        names->items[names->count++] = copy_text(name, error);
        OrtStatus *freed = ort->AllocatorFree(ort->allocator, name);
        if (freed) ort->ReleaseStatus(freed);
        if (!names->items[i]) return false;
    }
    return !status
           || fail(error, MESSAGE_GRAPH_UNLOADABLE, "path", session->path, "version", ort->version, "reason",
                   reason_of(ort, status).text, NULL);
}

static bool has_name(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0) return true;
    return false;
}

static struct line listed(const struct names *names)
{
    struct line line = {""};
    for (size_t i = 0; i < names->count; i++) line_add(&line, ", ", names->items[i]);
    return line;
}

static OrtStatus *set_options(const struct ort *ort, OrtSessionOptions *options, const struct session_options *chosen)
{
    int threads = chosen->threads > 0 ? chosen->threads : physical_cores();
    OrtStatus *status = ort->SetIntraOpNumThreads(options, threads);
    if (!status) status = ort->SetInterOpNumThreads(options, 1);
    /* Patterns are kept for each new input shape; clips of ever new lengths would make them grow without end. */
    if (!status) status = ort->DisableMemPattern(options);
    const char *spinning = chosen->spinning ? "1" : "0";
    if (!status) status = ort->AddSessionConfigEntry(options, "session.intra_op.allow_spinning", spinning);
    if (!status) status = ort->SetSessionLogSeverityLevel(options, ORT_LOG_FATAL);
    if (!status && chosen->block_samples)
        status = ort->AddFreeDimensionOverrideByName(options, "samples", chosen->block_samples);
    return status;
}

static size_t count_of(const char *wanted, size_t length, const struct message_out *model)
{
    size_t found = 0;
    const unsigned char *at = model->buffer.data, *end = at ? at + model->size : at;
    while (at && (size_t)(end - at) >= length && (at = memchr(at, wanted[0], (size_t)(end - at) - length + 1)) != NULL)
        found += memcmp(at++, wanted, length) == 0;
    return found;
}

/* Whether no weight is in another file: every place of one (a field 1 of 8 bytes, `location`) is in this file. */
static bool is_one_file(const struct message_out *model, const char *path, const char *name, w2e_error *error)
{
    static const char LOCATION[] = "\n\x08location";
    const size_t length = sizeof LOCATION - 1;
    struct message_out placed = {0};
    bool fine = put(&placed, LOCATION, length, error) && put_message(&placed, 2, name, strlen(name), error);
    if (fine && count_of(LOCATION, length, model) != count_of(placed.buffer.data, placed.size, model))
        fine = fail(error, MESSAGE_GRAPH_OTHER_FILES, "path", path, NULL);
    release(&placed.buffer);
    return fine;
}

/* Opens the session of a graph whose file is mapped; its large weights stay in the file. Without a session and without
 * a status, the error is told. */
static OrtStatus *load_mapped(struct session *session, OrtSessionOptions *options, const struct mapped_file *file,
                              bool *damaged, w2e_error *error)
{
    const struct ort *ort = session->ort;
    char *real = realpath(session->path, NULL), *slash = real ? strrchr(real, '/') : NULL;
    struct message_out model = {0};
    *damaged = !slash || !put_without_weights(file, 0, file->size, 0, slash + 1, &model, error);
    OrtStatus *status = NULL;
    if (!*damaged && is_one_file(&model, session->path, slash + 1, error)) {
        *slash = 0;
        static const char FOLDER[] = "session.model_external_initializers_file_folder_path";
        status = ort->AddSessionConfigEntry(options, FOLDER, real == slash ? "/" : real);
        if (!status)
            status = ort->CreateSessionFromArray(ort->env, model.buffer.data, model.size, options, &session->handle);
    }
    free(real);
    release(&model.buffer);
    return status;
}

static OrtStatus *create_run_options(struct session *session)
{
    const struct ort *ort = session->ort;
    OrtStatus *status = ort->CreateRunOptions(&session->usual);
    if (!status) status = ort->CreateRunOptions(&session->shrinking);
    if (!status) status = ort->AddRunConfigEntry(session->shrinking, "memory.enable_memory_arena_shrinkage", "cpu:0");
    return status;
}

/* Opens a listed graph of a bundle. */
static bool open_session(struct session *session, const struct ort *ort, const struct bundle *bundle, const char *name,
                         bool verify, const struct session_options *chosen, w2e_error *error)
{
    struct mapped_file file;
    *session = (struct session){.ort = ort};
    if (!map_listed(bundle, name, verify, &file, error)) return false;
    session->path = clean_path(bundle->folder, name, error);
    OrtSessionOptions *options = NULL;
    OrtStatus *status = session->path ? ort->CreateSessionOptions(&options) : NULL;
    if (!status && options) status = set_options(ort, options, chosen);
    bool damaged = false;
    if (!status && options) {
        if (ends_with(name, ".ort")) status = ort->CreateSession(ort->env, session->path, options, &session->handle);
        else status = load_mapped(session, options, &file, &damaged, error);
    }
    if (options) ort->ReleaseSessionOptions(options);
    unmap_file(&file);
    if (!status && session->handle) status = create_run_options(session);
    if (status || damaged) {
        struct reason reason = {"it is damaged"};
        if (status) reason = reason_of(ort, status);
        fail(error, MESSAGE_GRAPH_UNLOADABLE, "path", session->path, "version", ort->version, "reason", reason.text,
             NULL);
    }
    if (status || damaged || !session->handle) return false;
    return read_names(session, false, error) && read_names(session, true, error);
}

/* Type and shape of a graph's input or output; the rank is 0 where it is no tensor of at most MAX_RANK axes. */
static OrtStatus *describe(const struct session *session, bool output, size_t place, int *type, int64_t *shape,
                           size_t *rank)
{
    const struct ort *ort = session->ort;
    OrtTypeInfo *info = NULL;
    const OrtTensorTypeAndShapeInfo *tensor = NULL;
    *rank = 0;
    *type = 0;
    OrtStatus *status =
        (output ? ort->SessionGetOutputTypeInfo : ort->SessionGetInputTypeInfo)(session->handle, place, &info);
    if (!status) status = ort->CastTypeInfoToTensorInfo(info, &tensor);
    if (!status && tensor) status = ort->GetTensorElementType(tensor, type);
    size_t axes = 0;
    if (!status && tensor) status = ort->GetDimensionsCount(tensor, &axes);
    if (!status && axes && axes <= MAX_RANK) {
        status = ort->GetDimensions(tensor, shape, axes);
        *rank = status ? 0 : axes;
    }
    if (info) ort->ReleaseTypeInfo(info);
    return status;
}

static OrtStatus *make_tensor(const struct ort *ort, void *data, size_t bytes, const int64_t *shape, size_t rank,
                              int type, OrtValue **value)
{
    return ort->CreateTensorWithDataAsOrtValue(ort->memory, data, bytes, shape, rank, type, value);
}

/* Shape of a tensor of floats, and its values; NULL: it is another kind of value. */
static OrtStatus *read_tensor(const struct ort *ort, OrtValue *value, int64_t *shape, size_t *rank,
                              const float **values)
{
    OrtTensorTypeAndShapeInfo *info = NULL;
    void *data = NULL;
    int type = 0;
    *values = NULL;
    OrtStatus *status = ort->GetTensorTypeAndShape(value, &info);
    if (!status) status = ort->GetTensorElementType(info, &type);
    if (!status) status = ort->GetDimensionsCount(info, rank);
    if (!status && *rank <= MAX_RANK) status = ort->GetDimensions(info, shape, *rank);
    if (!status) status = ort->GetTensorMutableData(value, &data);
    if (info) ort->ReleaseTensorTypeAndShapeInfo(info);
    if (!status && type == ELEMENT_FLOAT && *rank <= MAX_RANK) *values = data;
    return status;
}

/* Samples --------------------------------------------------------------------------------------------------------- */

#define MIN_RATE_HZ 4000
#define MAX_RATE_HZ 768000
#define MAX_CHANNELS 64
#define MAX_PEAK 1e12       /* louder than unscaled 32-bit integers by far */
#define CLIPPED_SHARE 0.001 /* with more samples than this at full scale the clip gets the warning that it is clipped */
/* Peaks beyond these get a warning: what is added to the variance makes very quiet clips quieter still to the model. */
#define LOUDEST_PEAK 4
#define QUIETEST_PEAK_DBFS (-50)
#define CANCELLED_SHARE 0.01 /* channels cancel each other out if their mean has less of the power of unrelated ones */
#define DECODED_AT_ONCE 512

/* Warnings about a recording, each of them once. */
struct warnings {
    struct arena *arena;
    const char *items[8];
    size_t count;
};

ENDS_WITH_NULL static bool warn(struct warnings *warnings, w2e_error *error, enum message id, ...)
{
    char text[256];
    va_list values;
    va_start(values, id);
    expand(text, sizeof text, message_text(id), values);
    va_end(values);
    for (size_t i = 0; i < warnings->count; i++)
        if (strcmp(warnings->items[i], text) == 0) return true;
    if (warnings->count == sizeof warnings->items / sizeof *warnings->items) return true;
    const char *copy = arena_text(warnings->arena, text, error);
    if (copy) warnings->items[warnings->count++] = copy;
    return copy;
}

static size_t sample_bytes(w2e_format format)
{
    static const unsigned char BYTES[] = {1, 2, 3, 4, 4, 8};
    return BYTES[format];
}

/* Samples as numbers: integers are scaled by their type's full scale. They may lie at any address. */
static void decode(const unsigned char *bytes, w2e_format format, size_t count, double *out)
{
    float single;
    switch (format) {
    case W2E_U8:
        for (size_t i = 0; i < count; i++) out[i] = (bytes[i] - 128) / 128.0;
        break;
    case W2E_S16:
        for (size_t i = 0; i < count; i++) out[i] = (int16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8) / 32768.0;
        break;
    case W2E_S24:
        for (size_t i = 0; i < count; i++, bytes += 3)
            out[i] = (int32_t)((uint32_t)little_endian(bytes, 3) << 8) / 2147483648.0;
        break;
    case W2E_S32:
        for (size_t i = 0; i < count; i++, bytes += 4) out[i] = (int32_t)little_endian(bytes, 4) / 2147483648.0;
        break;
    case W2E_F32:
        for (size_t i = 0; i < count; i++) {
            memcpy(&single, bytes + 4 * i, sizeof single);
            out[i] = single;
        }
        break;
    case W2E_F64: memcpy(out, bytes, count * sizeof *out); break;
    }
}

static bool check_rate(const char *name, int rate_hz, w2e_error *error)
{
    return (rate_hz >= MIN_RATE_HZ && rate_hz <= MAX_RATE_HZ)
           || fail(error, MESSAGE_AUDIO_RATE_RANGE, "name", name, "rate", integer(rate_hz).text, NULL);
}

/* What the samples of a block are like. */
struct levels {
    double peak;
    size_t not_finite, first_not_finite; /* how many, and the place of the first */
    double first_value;
};

static void measure(const w2e_pcm *pcm, struct levels *levels)
{
    double decoded[DECODED_AT_ONCE];
    size_t count = pcm->frames * (size_t)pcm->channels, bytes = sample_bytes(pcm->format);
    *levels = (struct levels){0};
    for (size_t begun = 0; begun < count; begun += DECODED_AT_ONCE) {
        size_t some = count - begun < DECODED_AT_ONCE ? count - begun : DECODED_AT_ONCE;
        decode((const unsigned char *)pcm->samples + begun * bytes, pcm->format, some, decoded);
        double odd = 0; /* stays 0 unless a sample is not finite */
        for (size_t i = 0; i < some; i++) {
            double size = fabs(decoded[i]);
            odd += size * 0;
            if (size > levels->peak) levels->peak = size;
        }
        for (size_t i = 0; odd != 0 && i < some; i++) {
            if (isfinite(decoded[i])) continue;
            if (levels->not_finite++ == 0) {
                levels->first_not_finite = begun + i;
                levels->first_value = decoded[i];
            }
        }
    }
}

/* Sums of a channel, for its variance. */
struct moments {
    double sum, squares;
};

static double variance_of(const struct moments *moments, size_t count)
{
    double mean = moments->sum / (double)count;
    return moments->squares / (double)count - mean * mean;
}

/* Writes the mean of the channels, or one of them alone, and counts the samples that reach a threshold. Returns the
 * loudest channel where they cancel each other out, otherwise -1. */
static int mix_down(const w2e_pcm *pcm, float *mono, int only, double threshold, size_t *clipped)
{
    double decoded[DECODED_AT_ONCE];
    size_t channels = (size_t)pcm->channels, bytes = sample_bytes(pcm->format) * channels;
    size_t at_once = DECODED_AT_ONCE / channels;
    struct moments each[MAX_CHANNELS] = {{0, 0}}, mean = {0, 0};
    *clipped = 0;
    for (size_t begun = 0; begun < pcm->frames; begun += at_once) {
        size_t frames = pcm->frames - begun < at_once ? pcm->frames - begun : at_once;
        decode((const unsigned char *)pcm->samples + begun * bytes, pcm->format, frames * channels, decoded);
        for (size_t frame = 0; frame < frames; frame++) {
            const double *row = decoded + frame * channels;
            double sum = 0;
            for (size_t channel = 0; channel < channels; channel++) {
                sum += row[channel];
                *clipped += fabs(row[channel]) >= threshold;
                each[channel].sum += row[channel];
                each[channel].squares += row[channel] * row[channel];
            }
            sum /= (double)channels;
            mean.sum += sum;
            mean.squares += sum * sum;
            mono[begun + frame] = (float)(only < 0 ? sum : row[only]);
        }
    }
    double power = 0, most = -1;
    int loudest = -1;
    for (int channel = 0; channel < pcm->channels; channel++) {
        double own = variance_of(&each[channel], pcm->frames);
        power += own;
        if (own > most) most = own, loudest = channel;
    }
    /* Channels that have nothing in common add up in power: the variance of their mean is the sum over channels^2. */
    double related = CANCELLED_SHARE * power / ((double)channels * (double)channels);
    return channels == 1 || variance_of(&mean, pcm->frames) >= related ? -1 : loudest;
}

/* What is odd about a recording, gathered block by block. */
struct mixdown {
    size_t frames; /* of the blocks so far */
    double peak;
    bool clipped;
    uint64_t alone; /* a bit for each channel that was used alone */
};

/* Checked samples as one channel, `[frames]`; so many more follow in memory. */
static bool to_mono(struct mixdown *mixdown, const char *name, const w2e_pcm *pcm, size_t following, float *mono,
                    w2e_error *error)
{
    struct levels levels;
    measure(pcm, &levels);
    if (levels.not_finite) {
        w2e_pcm rest = *pcm;
        rest.frames += following;
        measure(&rest, &levels);
        int64_t place = (int64_t)levels.first_not_finite;
        return fail(error, MESSAGE_AUDIO_NOT_FINITE, "name", name, "count", integer((int64_t)levels.not_finite).text,
                    "index", integer((int64_t)mixdown->frames + place / pcm->channels).text, "channel",
                    integer(place % pcm->channels).text, "value", shown(levels.first_value).text, NULL);
    }
    if (levels.peak > MAX_PEAK)
        return fail(error, MESSAGE_AUDIO_PEAK, "name", name, "peak", general(levels.peak, 3).text, NULL);
    size_t clipped;
    double threshold = 0.999 * (levels.peak > 1 ? levels.peak : 1);
    int loudest = mix_down(pcm, mono, -1, threshold, &clipped);
    if (loudest >= 0) {
        mix_down(pcm, mono, loudest, threshold, &clipped);
        mixdown->alone |= (uint64_t)1 << loudest;
    }
    mixdown->frames += pcm->frames;
    if (levels.peak > mixdown->peak) mixdown->peak = levels.peak;
    if ((double)clipped / ((double)pcm->frames * pcm->channels) > CLIPPED_SHARE) mixdown->clipped = true;
    return true;
}

static bool warn_of_sound(const struct mixdown *mixdown, struct warnings *warnings, w2e_error *error)
{
    for (int channel = 0; channel < MAX_CHANNELS; channel++)
        if (mixdown->alone >> channel & 1
            && !warn(warnings, error, MESSAGE_WARNING_CHANNELS_CANCEL, "channel", integer(channel).text, NULL))
            return false;
    if (mixdown->peak > LOUDEST_PEAK)
        return warn(warnings, error, MESSAGE_WARNING_PEAK, "peak", general(mixdown->peak, 3).text, NULL);
    if (mixdown->clipped) return warn(warnings, error, MESSAGE_WARNING_CLIPPED, NULL);
    double peak_dbfs = mixdown->peak > 0 ? 20 * log10(mixdown->peak) : 0;
    return peak_dbfs >= QUIETEST_PEAK_DBFS
           || warn(warnings, error, MESSAGE_WARNING_QUIET, "peak", fixed(peak_dbfs, 0).text, NULL);
}

static bool is_flat(const float *samples, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (samples[i] != samples[0]) return false;
    return true;
}

static bool check_shape(const char *name, const w2e_pcm *pcm, w2e_error *error)
{
    if ((unsigned)pcm->format > W2E_F64)
        return fail(error, MESSAGE_OPTION_KIND, "option", "format", "value", integer((int)pcm->format).text, "kind",
                    "one of w2e_format", NULL);
    if (pcm->channels < 1 || pcm->channels > MAX_CHANNELS)
        return fail(error, MESSAGE_AUDIO_CHANNEL_COUNT, "name", name, "channels", integer(pcm->channels).text, "most",
                    integer(MAX_CHANNELS).text, NULL);
    return !pcm->frames || is_given(pcm->samples, "samples", error);
}

/* Resampling ------------------------------------------------------------------------------------------------------ */

/* By a windowed sinc (Smith and Gossett, "A flexible sampling-rate conversion method", ICASSP 1984) as wide as the
 * filter of soxr's quality HQ, which the Python package uses: it keeps 0.913 of the band that both rates have, and what
 * is outside the band lies 120 dB below. */

#define PASSBAND 0.913
#define HALF_WIDTH 90 /* zero crossings on each side: Kaiser's formula for 120 dB and this transition band */
#define BETA 12.26    /* shape of Kaiser's window for 120 dB */
#define PHASES 1024   /* positions between two samples that have filters of their own; others are interpolated */

struct resampler {
    int rate_hz;
    int64_t step, parts; /* sample n of the output lies at n * step / parts samples of the input */
    int64_t half;        /* taps on each side */
    int64_t phases;
    struct buffer filters; /* float [phases + 1, 2 * half] */
    struct buffer waiting; /* float: input that later samples need */
    size_t waiting_count;
    int64_t first;        /* place in the input of the first that waits */
    int64_t given, taken; /* samples */
};

/* The modified Bessel function of the first kind and order 0, by its series. */
static double bessel(double at)
{
    double sum = 1, term = 1;
    for (int k = 1; term > 1e-12 * sum; k++) {
        term *= at / (2 * k) * (at / (2 * k));
        sum += term;
    }
    return sum;
}

static void restart_resampler(struct resampler *resampler)
{
    resampler->waiting_count = (size_t)resampler->half - 1; /* silence before the first sample */
    float *waiting = resampler->waiting.data;
    for (size_t i = 0; i < resampler->waiting_count; i++) waiting[i] = 0;
    resampler->first = 1 - resampler->half;
    resampler->given = resampler->taken = 0;
}

static void close_resampler(struct resampler *resampler)
{
    release(&resampler->filters);
    release(&resampler->waiting);
}

/* Makes the filters for a rate, unless they are there. */
static bool open_resampler(struct resampler *resampler, int rate_hz, w2e_error *error)
{
    int64_t a = rate_hz, b = RATE_HZ;
    while (b) {
        int64_t left = a % b;
        a = b, b = left;
    }
    double stretch = rate_hz > RATE_HZ ? (double)rate_hz / RATE_HZ : 1;
    int64_t parts = RATE_HZ / a, half = (int64_t)ceil(HALF_WIDTH * stretch), most = (int64_t)ceil(PHASES / stretch);
    int64_t phases = parts < most ? parts : most;
    if (!reserve(&resampler->waiting, (size_t)half, sizeof(float), error)) return false;
    if (resampler->rate_hz != rate_hz) {
        float *filters = reserve(&resampler->filters, (size_t)((phases + 1) * 2 * half), sizeof *filters, error);
        if (!filters) return false;
        double cutoff = (1 + PASSBAND) / 2, largest = bessel(BETA);
        for (int64_t phase = 0; phase <= phases; phase++) {
            for (int64_t tap = 0; tap < 2 * half; tap++) {
                double at = ((double)(tap - half + 1) - (double)phase / (double)phases) / stretch;
                double edge = 1 - at / HALF_WIDTH * (at / HALF_WIDTH);
                double window = edge > 0 ? bessel(BETA * sqrt(edge)) / largest : 0;
                double angle = PI * cutoff * at;
                *filters++ = (float)(cutoff * (at == 0 ? 1 : sin(angle) / angle) / stretch * window);
            }
        }
    }
    resampler->rate_hz = rate_hz;
    resampler->step = rate_hz / a;
    resampler->parts = parts;
    resampler->half = half;
    resampler->phases = phases;
    restart_resampler(resampler);
    return true;
}

static double product(const float *input, const float *filter, int64_t taps)
{
    double sums[4] = {0, 0, 0, 0};
    int64_t tap = 0;
    for (; tap + 4 <= taps; tap += 4)
        for (int i = 0; i < 4; i++) sums[i] += (double)input[tap + i] * (double)filter[tap + i];
    for (; tap < taps; tap++) sums[0] += (double)input[tap] * (double)filter[tap];
    return sums[0] + sums[1] + (sums[2] + sums[3]);
}

/* The next samples of the output, up to one by its number, from input that is all there. */
static void resample_up_to(struct resampler *resampler, int64_t end, float *out)
{
    const float *waiting = resampler->waiting.data, *filters = resampler->filters.data;
    int64_t taps = 2 * resampler->half;
    for (int64_t n = resampler->given; n < end; n++) {
        int64_t whole = n * resampler->step / resampler->parts;
        int64_t part = (n * resampler->step - whole * resampler->parts) * resampler->phases;
        int64_t below = part / resampler->parts;
        double above = (double)(part - below * resampler->parts) / (double)resampler->parts;
        const float *input = waiting + (whole - resampler->half + 1 - resampler->first);
        double value = product(input, filters + below * taps, taps);
        if (above > 0) value += above * (product(input, filters + (below + 1) * taps, taps) - value);
        *out++ = (float)value;
    }
    resampler->given = end;
}

/* Adds the samples that are complete after more of the input to the output; after the last block all of them. */
static bool resample(struct resampler *resampler, const float *samples, size_t count, bool last, struct buffer *out,
                     size_t *out_count, w2e_error *error)
{
    size_t silence = last ? (size_t)(2 * resampler->half + resampler->step / resampler->parts + 1) : 0;
    float *waiting = reserve(&resampler->waiting, resampler->waiting_count + count + silence, sizeof *waiting, error);
    if (!waiting) return false;
    if (count) memcpy(waiting + resampler->waiting_count, samples, count * sizeof *waiting);
    resampler->waiting_count += count;
    resampler->taken += (int64_t)count;
    for (size_t i = 0; i < silence; i++) waiting[resampler->waiting_count + i] = 0;
    int64_t reach = (resampler->taken - resampler->half - 1) * resampler->parts;
    int64_t end = reach < 0 ? 0 : reach / resampler->step + 1;
    if (last) end = (int64_t)floor((double)resampler->taken * RATE_HZ / resampler->rate_hz + 0.5);
    if (end < resampler->given) end = resampler->given;
    float *found = reserve(out, *out_count + (size_t)(end - resampler->given), sizeof *found, error);
    if (!found) return false;
    size_t more = (size_t)(end - resampler->given);
    resample_up_to(resampler, end, found + *out_count);
    *out_count += more;
    if (last) {
        restart_resampler(resampler);
        return true;
    }
    int64_t needed = resampler->given * resampler->step / resampler->parts - resampler->half + 1;
    size_t unneeded = needed > resampler->first ? (size_t)(needed - resampler->first) : 0;
    if (unneeded > resampler->waiting_count) unneeded = resampler->waiting_count;
    resampler->waiting_count -= unneeded;
    resampler->first += (int64_t)unneeded;
    memmove(waiting, waiting + unneeded, resampler->waiting_count * sizeof *waiting);
    return true;
}

/* WAV ------------------------------------------------------------------------------------------------------------- */

/* "Multimedia Programming Interface and Data Specifications 1.0" (IBM and Microsoft, 1991): a chunk is four letters, a
 * size, and that many bytes, padded to an even count. RF64 (EBU Tech 3306) keeps the size of its sound in `ds64`. */

#define LEAST_UNKNOWN_SIZE 0x7FFFF000u /* from here on a size means "not known yet" to programs that write to a pipe */

/* What libsndfile, which reads files for the Python package, says of headers. */
static const char UNKNOWN_FORMAT[] = "Format not recognised";
static const char NO_SAMPLES[] = "Error in WAV file. No 'data' chunk marker";
static const char JOINED[] = "Error in WAV file. No 'RIFF' chunk marker";
static const char SAMPLES_TWICE[] = "Internal error : SF_INFO struct incomplete";

#define LONG_SIZE_BYTES 28 /* of `ds64` without a table */

const char *w2e_other_sound(const void *content, size_t size)
{
    static const struct {
        unsigned char place;
        char mark[5], kind[12];
    } OTHERS[] = {{0, "fLaC", "FLAC"}, {0, "OggS", "Ogg"},        {0, "ID3", "MP3"},
                  {0, "FORM", "AIFF"}, {0, "caff", "CAF"},        {0, ".snd", "AU"},
                  {0, "riff", "W64"},  {4, "ftyp", "MP4 or M4A"}, {0, "\x1a\x45\xdf\xa3", "WebM"}};
    const char *bytes = content;
    for (size_t i = 0; bytes && i < sizeof OTHERS / sizeof *OTHERS; i++) {
        size_t place = OTHERS[i].place, length = strlen(OTHERS[i].mark);
        if (size >= place + length && memcmp(bytes + place, OTHERS[i].mark, length) == 0) return OTHERS[i].kind;
    }
    return NULL;
}

static bool wav_encoding(unsigned tag, unsigned bits, w2e_format *format)
{
    static const struct {
        unsigned tag, bits;
        w2e_format format;
    } ENCODINGS[] = {{1, 8, W2E_U8},   {1, 16, W2E_S16}, {1, 24, W2E_S24},
                     {1, 32, W2E_S32}, {3, 32, W2E_F32}, {3, 64, W2E_F64}};
    for (size_t i = 0; i < sizeof ENCODINGS / sizeof *ENCODINGS; i++)
        if (ENCODINGS[i].tag == tag && ENCODINGS[i].bits == bits) {
            *format = ENCODINGS[i].format;
            return true;
        }
    return false;
}

/* Always false. */
static bool not_decoded(const char *name, const char *reason, w2e_error *error)
{
    return fail(error, MESSAGE_WAV_UNREADABLE, "name", name, "reason", reason, NULL);
}

static w2e_wav_state bad_wav(const char *name, const char *reason, w2e_error *error)
{
    not_decoded(name, reason, error);
    return W2E_WAV_BAD;
}

/* The chunk `fmt `. */
static bool wav_format(const char *name, const unsigned char *bytes, size_t size, w2e_wav *wav, w2e_error *error)
{
    if (size < 16) return not_decoded(name, "Error in WAV/W64/RF64 file. Short 'fmt ' chunk", error);
    unsigned tag = (unsigned)little_endian(bytes, 2), bits = (unsigned)little_endian(bytes + 14, 2);
    if (tag == 0xFFFE && size >= 26) tag = (unsigned)little_endian(bytes + 24, 2); /* WAVEFORMATEXTENSIBLE */
    uint64_t rate = little_endian(bytes + 4, 4);
    wav->channels = (int)little_endian(bytes + 2, 2);
    wav->rate_hz = rate > INT32_MAX ? INT32_MAX : (int)rate;
    if (!wav->channels) return not_decoded(name, "Channel count is zero", error);
    if (!wav_encoding(tag, bits, &wav->format)) {
        char kind[48];
        snprintf(kind, sizeof kind, "WAV of format %u with %u bits", tag, bits);
        return fail(error, MESSAGE_WAV_ONLY, "name", name, "kind", kind, NULL);
    }
    wav->frame_bytes = sample_bytes(wav->format) * (size_t)wav->channels;
    return true;
}

w2e_wav_state w2e_wav_header(const char *name, const void *content, size_t size, w2e_wav *wav, w2e_error *error)
{
    if (!GIVEN(name) || !GIVEN(wav) || !(!size || GIVEN(content))) return W2E_WAV_BAD;
    const unsigned char *bytes = content;
    *wav = (w2e_wav){0};
    if (!size) return W2E_WAV_NEEDS_MORE;
    size_t marks = size < 4 ? size : 4;
    enum { FORMAT = 1, LONG_SIZE = 2 };
    bool is_long = memcmp(bytes, "RF64", marks) == 0;
    int seen = 0;
    if (!is_long && memcmp(bytes, "RIFF", marks) != 0) return bad_wav(name, UNKNOWN_FORMAT, error);
    if (size < 12) return W2E_WAV_NEEDS_MORE;
    if (memcmp(bytes + 8, "WAVE", 4) != 0) return bad_wav(name, UNKNOWN_FORMAT, error);
    uint64_t long_size = 0;
    for (uint64_t at = 12;;) {
        if (at > size || size - at < 8) return W2E_WAV_NEEDS_MORE;
        const unsigned char *chunk = bytes + at;
        uint64_t chunk_size = little_endian(chunk + 4, 4), left = size - at - 8;
        if (memcmp(chunk, "data", 4) == 0) {
            int needed = is_long && chunk_size == UINT32_MAX ? FORMAT | LONG_SIZE : FORMAT;
            if ((seen & needed) != needed) return bad_wav(name, NO_SAMPLES, error);
            wav->data_offset = (size_t)at + 8;
            wav->data_bytes = long_size ? long_size : chunk_size >= LEAST_UNKNOWN_SIZE ? UINT64_MAX : chunk_size;
            return W2E_WAV_OK;
        }
        uint64_t wanted = chunk_size < 64 ? chunk_size : 64;
        if (left < wanted) return W2E_WAV_NEEDS_MORE;
        int found = memcmp(chunk, "fmt ", 4) == 0                                           ? FORMAT
                    : is_long && memcmp(chunk, "ds64", 4) == 0 && wanted >= LONG_SIZE_BYTES ? LONG_SIZE
                                                                                            : 0;
        if (seen & found) return bad_wav(name, NO_SAMPLES, error); /* which of the two holds nobody knows */
        seen |= found;
        if (found == LONG_SIZE) long_size = little_endian(chunk + 16, 8);
        if (found == FORMAT && !wav_format(name, chunk + 8, (size_t)wanted, wav, error)) return W2E_WAV_BAD;
        at += 8 + chunk_size + chunk_size % 2;
    }
}

/* Whether bytes are printable text in UTF-8; a character may be cut at their end. */
static bool looks_like_text(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        unsigned char first = bytes[i];
        size_t more = first >= 0xF0 && first < 0xF5   ? 3
                      : first >= 0xE0 && first < 0xF0 ? 2
                                                      : first >= 0xC2 && first < 0xE0;
        if (first >= 0xF5 || (first >= 0x80 && first < 0xC2)) return false;
        if (first < 0x20 ? !strchr("\t\n\r", first) || !first : first == 0x7F) return false;
        for (size_t k = 1; k <= more && i + k < size; k++)
            if ((bytes[i + k] & 0xC0) != 0x80) return false;
        if (first == 0xC2 && i + 1 < size && bytes[i + 1] < 0xA1) return false; /* control characters, and a space */
        i += more + 1;
    }
    return true;
}

/* Why content is no WAV file that can be read; always false. */
static bool not_readable(const char *name, const unsigned char *bytes, size_t size, w2e_error *error)
{
    static const char LFS[] = "version https://git-lfs";
    size_t head = size < 512 ? size : 512;
    if (!size) return fail(error, MESSAGE_AUDIO_FILE_EMPTY, "name", name, NULL);
    if (size >= sizeof LFS - 1 && memcmp(bytes, LFS, sizeof LFS - 1) == 0)
        return fail(error, MESSAGE_AUDIO_FILE_GIT_LFS, "name", name, NULL);
    if ((size >= 8 && memcmp(bytes + 4, "ftyp", 4) == 0) || (size >= 4 && memcmp(bytes, "\x1a\x45\xdf\xa3", 4) == 0))
        return fail(error, MESSAGE_AUDIO_FILE_CONTAINER, "name", name, NULL);
    if (looks_like_text(bytes, head)) return fail(error, MESSAGE_AUDIO_FILE_TEXT, "name", name, NULL);
    const char *kind = w2e_other_sound(bytes, size);
    return kind && fail(error, MESSAGE_WAV_ONLY, "name", name, "kind", kind, NULL);
}

/* Whether bytes begin with a name and a size, as chunks do. */
static bool is_named(const unsigned char *bytes, uint64_t size)
{
    if (size < 8) return false;
    for (int i = 0; i < 4; i++)
        if (bytes[i] < 0x20 || bytes[i] > 0x7E) return false;
    return true;
}

/* Whether bytes begin with a chunk that is whole. */
static bool is_chunk(const unsigned char *bytes, uint64_t size)
{
    return is_named(bytes, size) && little_endian(bytes + 4, 4) <= size - 8;
}

/* What there is of more sound behind samples that end at a place, another file or other samples, as libsndfile says it;
 * NULL: none. Titles, and what is no chunk, do no harm. */
static const char *more_sound(const unsigned char *bytes, uint64_t size, uint64_t at)
{
    static const char MARKS[][5] = {"data", "RIFF", "RF64", "RIFX"};
    while (at < size) {
        if (at % 2 && !bytes[at]) at++; /* the padding, which some programs leave out */
        if (!is_named(bytes + at, size - at)) return NULL;
        for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++)
            if (memcmp(bytes + at, MARKS[i], 4) == 0) return i ? JOINED : SAMPLES_TWICE;
        at += 8 + little_endian(bytes + at + 4, 4);
    }
    return NULL;
}

bool w2e_wav_read(const char *name, const void *content, size_t size, w2e_pcm *pcm, bool *truncated, w2e_error *error)
{
    if (!GIVEN(name) || !GIVEN(pcm) || !GIVEN(truncated) || !(!size || GIVEN(content))) return false;
    const unsigned char *bytes = content;
    w2e_wav wav;
    w2e_error reason = {.code = 0};
    w2e_wav_state state = w2e_wav_header(name, bytes, size, &wav, &reason);
    if (state != W2E_WAV_OK) {
        if (state == W2E_WAV_NEEDS_MORE) not_decoded(name, NO_SAMPLES, &reason);
        w2e_error other = {.code = 0};
        not_readable(name, bytes, size, &other);
        if (error) *error = other.code ? other : reason;
        return false;
    }
    uint64_t there = size - wav.data_offset, promised = wav.data_bytes;
    /* Sound that follows a size of 0 comes from a recorder that was ended before it knew the size. */
    if (!promised && !is_chunk(bytes + wav.data_offset, there)) promised = UINT64_MAX;
    *truncated = promised != UINT64_MAX && promised > there;
    uint64_t taken = promised < there ? promised : there;
    const char *more = more_sound(bytes, size, wav.data_offset + taken);
    if (more) return not_decoded(name, more, error);
    *pcm = (w2e_pcm){bytes + wav.data_offset, (size_t)taken / wav.frame_bytes, wav.channels, wav.format, wav.rate_hz};
    return true;
}

/* Why a file cannot be opened, from errno; always false. */
static bool not_opened(const char *path, w2e_error *error)
{
    int reason = errno;
    char target[512];
    if (reason == EISDIR) return fail(error, MESSAGE_AUDIO_FILE_FOLDER, "name", path, NULL);
    if (reason == ENOENT) {
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length < 0) return fail(error, MESSAGE_AUDIO_FILE_ABSENT, "name", path, NULL);
        target[length] = 0;
        return fail(error, MESSAGE_AUDIO_FILE_BROKEN_LINK, "name", path, "target", target, NULL);
    }
    return fail(error, MESSAGE_AUDIO_FILE_UNREADABLE, "name", path, "reason", strerror(reason), NULL);
}

/* Silence at the ends of a clip ----------------------------------------------------------------------------------- */

#define SILENCE 1e-4f
#define SILENCE_HOP 320
#define KEPT_SILENCE 3200 /* samples: 0.2 s */
#define WORTH 1600        /* less silence than 0.1 s is not worth to be left out */

/* The first sample and the end of what is not silence at the ends; all of it where that saves little. */
static void leave_out_silence(const float *samples, size_t count, size_t *first, size_t *end)
{
    size_t frames = count / SILENCE_HOP, loud_first = frames, loud_last = 0;
    float loudest = 0;
    *first = 0;
    *end = count;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t frame = 0; frame < frames; frame++) {
            double sum = 0;
            for (size_t i = 0; i < SILENCE_HOP; i++) {
                double sample = (double)samples[frame * SILENCE_HOP + i];
                sum += sample * sample;
            }
            float power = (float)sum;
            if (pass == 0 && power > loudest) loudest = power;
            if (pass == 1 && power > loudest * SILENCE) {
                if (loud_first == frames) loud_first = frame;
                loud_last = frame;
            }
        }
    }
    if (loud_first == frames) return;
    size_t begin = loud_first * SILENCE_HOP, behind = (loud_last + 1) * SILENCE_HOP + KEPT_SILENCE;
    begin = begin > KEPT_SILENCE ? begin - KEPT_SILENCE : 0;
    if (behind > count) behind = count;
    if (count - (behind - begin) < WORTH) return;
    *first = begin;
    *end = behind;
}

/* Words ----------------------------------------------------------------------------------------------------------- */

/* A word whose text lies at a place of its list's texts. */
struct word {
    size_t text;
    double start_s, end_s, confidence;
};

struct words {
    struct buffer items, texts;
    size_t count, text_bytes;
};

static const struct word *word_at(const struct words *words, size_t place)
{
    return (const struct word *)words->items.data + place;
}

static const char *word_text(const struct words *words, size_t place)
{
    return (const char *)words->texts.data + word_at(words, place)->text;
}

static void clear_words(struct words *words)
{
    words->count = words->text_bytes = 0;
}

static void release_words(struct words *words)
{
    release(&words->items);
    release(&words->texts);
    clear_words(words);
}

/* Adds an empty word at so many seconds; `extend_word` gives it text. */
static bool add_word(struct words *words, struct word word, w2e_error *error)
{
    struct word *items = reserve(&words->items, words->count + 1, sizeof *items, error);
    char *texts = items ? reserve(&words->texts, words->text_bytes + 1, 1, error) : NULL;
    if (!texts) return false;
    word.text = words->text_bytes;
    items[words->count++] = word;
    texts[words->text_bytes++] = 0;
    return true;
}

/* Adds to the text of the last word. */
static bool extend_word(struct words *words, const char *text, size_t length, w2e_error *error)
{
    char *texts = reserve(&words->texts, words->text_bytes + length, 1, error);
    if (!texts) return false;
    memcpy(texts + words->text_bytes - 1, text, length);
    words->text_bytes += length;
    texts[words->text_bytes - 1] = 0;
    return true;
}

/* Adds the words of another list from one place to the end before another, so many seconds later. */
static bool add_words(struct words *words, const struct words *others, size_t first, size_t end, double later_s,
                      w2e_error *error)
{
    for (size_t i = first; i < end; i++) {
        struct word word = *word_at(others, i);
        word.start_s += later_s;
        word.end_s += later_s;
        const char *text = word_text(others, i);
        if (!add_word(words, word, error) || !extend_word(words, text, strlen(text), error)) return false;
    }
    return true;
}

/* Leaves out the first words. */
static void drop_words(struct words *words, size_t count)
{
    if (count >= words->count) {
        clear_words(words);
        return;
    }
    struct word *items = words->items.data;
    size_t text = items[count].text;
    words->count -= count;
    words->text_bytes -= text;
    memmove(items, items + count, words->count * sizeof *items);
    memmove(words->texts.data, (char *)words->texts.data + text, words->text_bytes);
    for (size_t i = 0; i < words->count; i++) items[i].text -= text;
}

/* Decoders -------------------------------------------------------------------------------------------------------- */

/* A token of a transcript: its column, its frames, and its log probability in the surest of them. */
struct token {
    size_t id, start, end, surest;
    double log_probability;
};

#define LEAST (-1e3)               /* stands for the logarithm of 0 where it is multiplied by 0 */
#define SURE_BLANK (-1.0000005e-6) /* log(1 - 1e-6): a frame whose blank is likelier extends no prefix */
#define ROOT 0
#define USUAL_TOKENS 256 /* of a transcript that beam search finds: more than these may need memory */

/* Phrases as a prefix tree; node 0 is the empty beginning. */
struct phrase_tree {
    struct buffer parents, tokens; /* size_t of each node; that of node 0 is SIZE_MAX */
    size_t nodes;
    struct buffer ends; /* size_t: the node of each phrase */
    size_t phrases, longest;
};

/* Phrases that gain weight while they are spelt: an automaton whose states are the longest prefixes just spelt. */
struct hotwords {
    size_t states, start;
    struct buffer next, gain, at_end; /* size_t and double [states, vocabulary], double [states] */
};

enum decoder_kind { GREEDY, BEAM, GRAMMAR };

struct decoder {
    enum decoder_kind kind;
    size_t width;
    double word_bonus;
    struct hotwords hotwords;
    struct phrase_tree grammar;
    double least_fit;
};

/* A prefix in the beam, between two frames. */
struct prefix {
    size_t node, last;   /* its last token; the blank for the empty prefix */
    double blank, token; /* log probabilities of the paths that end in a blank, and in the last token */
};

/* A prefix by its number. It keeps the number when it leaves the beam and returns. */
struct prefix_node {
    size_t parent, token, state;
    double score;
    bool in_word;
};

/* What decoding needs from call to call. */
struct decoding {
    struct buffer tokens; /* struct token */
    size_t token_count;
    struct buffer scores;                                              /* double [frames, vocabulary] */
    struct buffer ids;                                                 /* size_t: a transcript */
    struct buffer trellis, column;                                     /* of the alignment */
    struct buffer forward;                                             /* of the grammar */
    struct buffer nodes, children, beam, next_beam, candidates, grown; /* of the beam search */
    struct buffer text, owners, lowered, lowered_owners;               /* of the transcript; owners are uint32_t */
    struct phrase_tree free_phrase;
    size_t node_count;
    bool has_confidence, rejected;
    double confidence;
};

static void release_tree(struct phrase_tree *tree)
{
    release(&tree->parents);
    release(&tree->tokens);
    release(&tree->ends);
}

static void release_decoder(struct decoder *decoder)
{
    release_tree(&decoder->grammar);
    release(&decoder->hotwords.next);
    release(&decoder->hotwords.gain);
    release(&decoder->hotwords.at_end);
}

static void release_decoding(struct decoding *decoding)
{
    struct buffer *buffers[] = {
        &decoding->tokens, &decoding->scores,    &decoding->ids,        &decoding->trellis,
        &decoding->column, &decoding->forward,   &decoding->nodes,      &decoding->children,
        &decoding->beam,   &decoding->next_beam, &decoding->candidates, &decoding->grown,
        &decoding->text,   &decoding->owners,    &decoding->lowered,    &decoding->lowered_owners,
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) release(buffers[i]);
    release_tree(&decoding->free_phrase);
}

/* log(exp(a) + exp(b)) */
static double add_logs(double a, double b)
{
    if (a == b) return a + log(2.0); /* of two infinities as well */
    double larger = a > b ? a : b, smaller = a > b ? b : a;
    return larger + log1p(exp(smaller - larger));
}

/* The logarithm of the sum of the exponentials of logits, which are divided by a temperature before. */
static double log_sum(const float *row, size_t count, float temperature, double *largest)
{
    double sum = 0;
    *largest = -(double)INFINITY;
    for (size_t i = 0; i < count; i++) {
        double value = (double)(row[i] / temperature);
        if (value > *largest) *largest = value;
    }
    for (size_t i = 0; i < count; i++) sum += exp((double)(row[i] / temperature) - *largest);
    return log(sum);
}

static double log_probability(const float *row, size_t count, size_t id, float temperature)
{
    double largest, sum = log_sum(row, count, temperature, &largest);
    return (double)(row[id] / temperature) - largest - sum;
}

static size_t best_of(const float *row, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (row[i] > row[best]) best = i;
    return best;
}

/* Greedy CTC: the best token of each frame, repeats merged, blanks and silent tokens dropped (Graves et al.,
 * "Connectionist Temporal Classification", ICML 2006, section 3.2). */
static bool best_path(struct decoding *decoding, const struct ctc_head *head, const float *logits, size_t frames,
                      w2e_error *error)
{
    if (!reserve(&decoding->tokens, frames, sizeof(struct token), error)) return false;
    struct token *tokens = decoding->tokens.data;
    size_t before = SIZE_MAX, count = 0;
    for (size_t frame = 0; frame < frames; frame++) {
        const float *row = logits + frame * head->size;
        size_t id = best_of(row, head->size);
        bool first = id != before;
        before = id;
        if (head->silent[id]) continue;
        double score = log_probability(row, head->size, id, 1);
        if (first) {
            tokens[count++] = (struct token){id, frame, frame + 1, frame, score};
            continue;
        }
        struct token *token = &tokens[count - 1];
        token->end = frame + 1;
        if (score > token->log_probability) token->log_probability = score, token->surest = frame;
    }
    decoding->token_count = count;
    return true;
}

/* Log probabilities [frames, vocabulary] in which the silent tokens have gone into the blank: every path keeps its
 * transcript. */
static double *log_probabilities(struct decoding *decoding, const struct ctc_head *head, const float *logits,
                                 size_t frames)
{
    double *scores = decoding->scores.data;
    for (size_t frame = 0; frame < frames; frame++) {
        const float *row = logits + frame * head->size;
        double *out = scores + frame * head->size, largest, sum = log_sum(row, head->size, 1, &largest);
        for (size_t i = 0; i < head->size; i++) out[i] = (double)row[i] - largest - sum;
        for (size_t i = 0; i < head->size; i++) {
            if (!head->silent[i] || i == head->blank) continue;
            out[head->blank] = add_logs(out[head->blank], out[i]);
            out[i] = -(double)INFINITY;
        }
    }
    return scores;
}

/* The best path of known tokens ------------------------------------------------------------------------------------ */

/* Where a path to a state came from: to the blank behind a token from that token; to a token from the blank before it,
 * or from the token before it. */
enum { FROM_TOKEN = 1, FROM_BLANK = 2, SKIPPED_BLANK = 4 };

static bool reserve_alignment(struct decoding *decoding, size_t count, size_t frames, w2e_error *error)
{
    return reserve(&decoding->trellis, frames * (count + 1), 1, error)
           && reserve(&decoding->column, 2 * (count + 1), sizeof(double), error)
           && reserve(&decoding->tokens, count, sizeof(struct token), error);
}

/* The tokens with their frames on the best path through the scores, which must have room for them (Graves et al., 2006,
 * section 4.1). */
static bool align(struct decoding *decoding, const struct ctc_head *head, const size_t *ids, size_t count,
                  const double *scores, size_t frames, w2e_error *error)
{
    decoding->token_count = 0;
    if (!count) return true;
    if (!reserve_alignment(decoding, count, frames, error)) return false;
    unsigned char *trellis = decoding->trellis.data;
    double *column = decoding->column.data;
    struct token *found = decoding->tokens.data;
    double *tokens = column, *blanks = column + count + 1; /* the token of place 0 is before the first */
    for (size_t i = 0; i < 2 * (count + 1); i++) column[i] = -(double)INFINITY;
    blanks[0] = 0;
    for (size_t frame = 0; frame < frames; frame++) {
        const double *row = scores + frame * head->size;
        unsigned char *choices = trellis + frame * (count + 1);
        for (size_t place = count + 1;
             place-- > 0;) { /* backwards: what is before a place is still of the last frame */
            double blank_before = blanks[place], token_before = tokens[place];
            choices[place] = token_before > blank_before ? FROM_TOKEN : 0;
            blanks[place] = (token_before > blank_before ? token_before : blank_before) + row[head->blank];
            if (!place) continue;
            bool repeated = place > 1 && ids[place - 1] == ids[place - 2];
            double from_blank = blanks[place - 1], skip = repeated ? -(double)INFINITY : tokens[place - 1];
            double best = from_blank > token_before ? from_blank : token_before;
            if (from_blank > token_before) choices[place] |= FROM_BLANK;
            if (skip > best) choices[place] |= SKIPPED_BLANK, best = skip;
            tokens[place] = best + row[ids[place - 1]];
        }
    }
    size_t place = count;
    bool in_token = tokens[count] >= blanks[count];
    for (size_t i = 0; i < count; i++) found[i] = (struct token){.id = ids[i], .log_probability = -(double)INFINITY};
    for (size_t frame = frames; frame-- > 0;) {
        unsigned char choice = trellis[frame * (count + 1) + place];
        if (!in_token) {
            in_token = choice & FROM_TOKEN;
            continue;
        }
        struct token *token = &found[place - 1];
        double score = scores[frame * head->size + token->id];
        if (!token->end) token->end = frame + 1;
        token->start = frame;
        if (score >= token->log_probability) token->log_probability = score, token->surest = frame;
        if (choice & SKIPPED_BLANK) place--;
        else if (choice & FROM_BLANK) place--, in_token = false;
        if (!place) break;
    }
    decoding->token_count = count;
    return true;
}

/* Grammars -------------------------------------------------------------------------------------------------------- */

/* Adds a phrase by its tokens. */
static bool add_phrase(struct phrase_tree *tree, const size_t *ids, size_t count, w2e_error *error)
{
    size_t *parents = reserve(&tree->parents, tree->nodes + count + 1, sizeof *parents, error);
    size_t *tokens = reserve(&tree->tokens, tree->nodes + count + 1, sizeof *tokens, error);
    size_t *ends = reserve(&tree->ends, tree->phrases + 1, sizeof *ends, error);
    if (!parents || !tokens || !ends) return false;
    if (!tree->nodes) parents[0] = ROOT, tokens[0] = SIZE_MAX, tree->nodes = 1;
    size_t node = ROOT;
    for (size_t i = 0; i < count; i++) {
        size_t child = node + 1; /* a child comes after its parent */
        while (child < tree->nodes && !(parents[child] == node && tokens[child] == ids[i])) child++;
        if (child == tree->nodes) {
            parents[child] = node;
            tokens[child] = ids[i];
            tree->nodes++;
        }
        node = child;
    }
    ends[tree->phrases++] = node;
    if (count > tree->longest) tree->longest = count;
    return true;
}

/* Log probability of each phrase, with word delimiters around it or without: the sums over its paths (Graves et al.,
 * 2006, section 4.1). */
static double *forward(const struct phrase_tree *tree, const struct ctc_head *head, const double *scores, size_t frames,
                       double *memory)
{
    const size_t *parents = tree->parents.data, *tokens = tree->tokens.data, *ends = tree->ends.data;
    double *blank = memory, *token = blank + tree->nodes, *either = token + tree->nodes, *after = either + tree->nodes;
    for (size_t i = 0; i < 3 * tree->nodes + tree->phrases; i++) memory[i] = -(double)INFINITY;
    blank[ROOT] = 0;
    for (size_t frame = 0; frame < frames; frame++) {
        const double *row = scores + frame * head->size;
        double border = head->delimiter_id == SIZE_MAX ? -(double)INFINITY : row[head->delimiter_id];
        double pause = add_logs(row[head->blank], border), before = blank[ROOT] + pause;
        for (size_t i = 0; i < tree->nodes; i++) either[i] = add_logs(blank[i], token[i]);
        for (size_t i = 0; i < tree->phrases; i++) after[i] = add_logs(after[i] + pause, either[ends[i]] + border);
        for (size_t node = tree->nodes; node-- > 1;) { /* backwards: the parent's blank is still of the last frame */
            bool repeats = tokens[node] == tokens[parents[node]]; /* a blank must be between */
            double entered = repeats ? blank[parents[node]] : either[parents[node]];
            token[node] = add_logs(token[node], entered) + row[tokens[node]];
            blank[node] = either[node] + row[head->blank];
        }
        blank[ROOT] = before;
    }
    for (size_t i = 0; i < tree->phrases; i++) after[i] = add_logs(add_logs(blank[ends[i]], token[ends[i]]), after[i]);
    return after;
}

static double sum_of_logs(const double *logs, size_t count)
{
    double sum = -(double)INFINITY;
    for (size_t i = 0; i < count; i++) sum = add_logs(sum, logs[i]);
    return sum;
}

/* P(any phrase | sound) per frame, times how certain the frames are: from 0 to 1. */
static double fit_of(double any_phrase, const double *scores, size_t frames, size_t size)
{
    if (!frames || any_phrase == -(double)INFINITY) return 0;
    double entropy = 0;
    for (size_t i = 0; i < frames * size; i++) entropy -= exp(scores[i]) * (scores[i] > LEAST ? scores[i] : LEAST);
    double per_frame = any_phrase / (double)frames;
    return exp(per_frame < 0 ? per_frame : 0) * (1 - entropy / (double)frames / log((double)size));
}

/* The best free transcript, without word delimiters at its ends. */
static size_t free_transcript(const struct ctc_head *head, const double *scores, size_t frames, size_t *found)
{
    size_t before = SIZE_MAX, count = 0;
    for (size_t frame = 0; frame < frames; frame++) {
        const double *row = scores + frame * head->size;
        size_t best = 0;
        for (size_t i = 1; i < head->size; i++)
            if (row[i] > row[best]) best = i;
        if (best != before && best != head->blank && !(best == head->delimiter_id && !count)) found[count++] = best;
        before = best;
    }
    while (count && found[count - 1] == head->delimiter_id) count--;
    return count;
}

/* The tokens of a phrase, last first in the tree. */
static size_t spelt_by(const struct phrase_tree *tree, size_t phrase, size_t *ids)
{
    const size_t *parents = tree->parents.data, *tokens = tree->tokens.data;
    size_t end = ((const size_t *)tree->ends.data)[phrase], count = 0;
    for (size_t node = end; node != ROOT; node = parents[node]) count++;
    size_t place = count;
    for (size_t node = end; node != ROOT; node = parents[node]) ids[--place] = tokens[node];
    return count;
}

/* Whether a transcript is one of the phrases. */
static bool is_phrase(const struct phrase_tree *tree, const size_t *ids, size_t count, size_t *scratch)
{
    for (size_t phrase = 0; phrase < tree->phrases; phrase++)
        if (spelt_by(tree, phrase, scratch) == count && memcmp(scratch, ids, count * sizeof *ids) == 0) return true;
    return false;
}

/* So many numbers the forward scores of a tree with so many nodes and phrases take. */
static size_t forward_numbers(size_t nodes, size_t phrases)
{
    return 3 * nodes + phrases;
}

static bool reserve_grammar(struct decoding *decoding, const struct phrase_tree *tree, size_t size, size_t frames,
                            w2e_error *error)
{
    struct phrase_tree *free_phrase = &decoding->free_phrase;
    size_t numbers = forward_numbers(tree->nodes, tree->phrases) + forward_numbers(frames + 1, 1);
    return reserve(&decoding->scores, frames * size, sizeof(double), error)
           && reserve(&decoding->forward, numbers, sizeof(double), error)
           && reserve(&decoding->ids, frames + tree->longest + 1, sizeof(size_t), error)
           && reserve_alignment(decoding, tree->longest, frames, error)
           && reserve(&free_phrase->parents, frames + 1, sizeof(size_t), error)
           && reserve(&free_phrase->tokens, frames + 1, sizeof(size_t), error)
           && reserve(&free_phrase->ends, 1, sizeof(size_t), error);
}

/* The likeliest phrase, and its share among all of them and the best free transcript. */
static bool decode_grammar(struct decoding *decoding, const struct decoder *decoder, const struct ctc_head *head,
                           const float *logits, size_t frames, w2e_error *error)
{
    const struct phrase_tree *tree = &decoder->grammar;
    if (!reserve_grammar(decoding, tree, head->size, frames, error)) return false;
    double *scores = log_probabilities(decoding, head, logits, frames), *memory = decoding->forward.data;
    double *free_memory = memory + forward_numbers(tree->nodes, tree->phrases);
    size_t *ids = decoding->ids.data;
    struct phrase_tree *free_phrase = &decoding->free_phrase;
    double *totals = forward(tree, head, scores, frames, memory);
    size_t best = 0;
    for (size_t i = 1; i < tree->phrases; i++)
        if (totals[i] > totals[best]) best = i;
    double any = sum_of_logs(totals, tree->phrases), fit = fit_of(any, scores, frames, head->size);
    decoding->has_confidence = true;
    decoding->confidence = fit;
    decoding->token_count = 0;
    decoding->rejected = totals[best] == -(double)INFINITY || fit < decoder->least_fit;
    if (decoding->rejected) return true;
    size_t count = free_transcript(head, scores, frames, ids);
    if (!is_phrase(tree, ids, count, ids + count)) {
        free_phrase->nodes = free_phrase->phrases = 0;
        if (!add_phrase(free_phrase, ids, count, error)) return false;
        any = add_logs(any, *forward(free_phrase, head, scores, frames, free_memory));
    }
    decoding->confidence = fit * exp(totals[best] - any);
    count = spelt_by(tree, best, ids);
    return align(decoding, head, ids, count, scores, frames, error);
}

/* Beam search ----------------------------------------------------------------------------------------------------- */

/* Graves and Jaitly, "Towards End-to-End Speech Recognition with Recurrent Neural Networks", ICML 2014; Hannun et al.,
 * "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent DNNs", arXiv 1408.2873. */

static bool has_context(const struct decoder *decoder)
{
    return decoder->hotwords.states || decoder->word_bonus != 0;
}

/* What the end of an unfinished word adds. */
static double end_of_word(const struct decoder *decoder, const struct prefix_node *node)
{
    return node->in_word ? decoder->word_bonus : 0;
}

/* What a token behind a prefix adds to its score. Tokens with a separator between them are words, as phonemes are. */
static double gain_of(const struct decoder *decoder, const struct ctc_head *head, const struct prefix_node *node,
                      size_t token)
{
    double gain = token == head->delimiter_id || head->separator[0] ? end_of_word(decoder, node) : 0;
    if (decoder->hotwords.states)
        gain += ((const double *)decoder->hotwords.gain.data)[node->state * head->size + token];
    return gain;
}

/* The number of the prefix that is one token longer than another. */
static size_t grow(struct decoding *decoding, const struct decoder *decoder, const struct ctc_head *head, size_t parent,
                   size_t token, size_t table_size)
{
    struct prefix_node *nodes = decoding->nodes.data;
    size_t *table = decoding->children.data; /* number + 1, by a hash of parent and token; 0: free */
    size_t place = (parent * 0x9E3779B1u + token * 0x85EBCA77u) & (table_size - 1);
    for (; table[place]; place = (place + 1) & (table_size - 1)) {
        const struct prefix_node *found = &nodes[table[place] - 1];
        if (found->parent == parent && found->token == token) return table[place] - 1;
    }
    size_t number = decoding->node_count++;
    const struct prefix_node *before = &nodes[parent];
    struct prefix_node *node = &nodes[number];
    *node = (struct prefix_node){.parent = parent, .token = token};
    node->score = before->score + gain_of(decoder, head, before, token);
    bool goes_on = before->in_word && !head->separator[0];
    node->in_word = token != head->delimiter_id && (goes_on || head->cased[token][0]);
    if (decoder->hotwords.states)
        node->state = ((const size_t *)decoder->hotwords.next.data)[before->state * head->size + token];
    table[place] = number + 1;
    return number;
}

/* A prefix that may be in the next beam: one that stays, or one that is a token longer. */
struct candidate {
    double rank, blank, token;
    size_t from, id; /* place in the beam; SIZE_MAX: the prefix stays as it is */
};

/* Keeps the best candidates: the worst of a full list is its first. */
static void offer(struct candidate *kept, size_t *count, size_t width, const struct candidate *candidate)
{
    if (!(candidate->rank > -(double)INFINITY)) return;
    size_t place;
    if (*count < width) {
        place = (*count)++;
        while (place && kept[(place - 1) / 2].rank > candidate->rank) {
            kept[place] = kept[(place - 1) / 2];
            place = (place - 1) / 2;
        }
        kept[place] = *candidate;
        return;
    }
    if (candidate->rank <= kept[0].rank) return;
    place = 0;
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= width) break;
        if (child + 1 < width && kept[child + 1].rank < kept[child].rank) child++;
        if (kept[child].rank >= candidate->rank) break;
        kept[place] = kept[child];
        place = child;
    }
    kept[place] = *candidate;
}

struct beam_search {
    struct decoding *decoding;
    const struct decoder *decoder;
    const struct ctc_head *head;
    struct prefix *beam;
    size_t count, table_size;
};

/* What a prefix of the beam scores by its words. */
static double context_score(const struct beam_search *search, size_t place)
{
    return ((const struct prefix_node *)search->decoding->nodes.data)[search->beam[place].node].score;
}

/* Log probability that the paths of a prefix go on with a token. A token that follows itself needs a blank between. */
static double grown_by(const struct beam_search *search, const double *frame, size_t place, size_t id)
{
    const struct prefix *prefix = &search->beam[place];
    if (id == search->head->blank) return -(double)INFINITY;
    double before = id == prefix->last ? prefix->blank : add_logs(prefix->blank, prefix->token);
    return before + frame[id];
}

/* The place in the beam of the prefix that is one token shorter; SIZE_MAX: it is not in the beam. */
static size_t place_of_parent(const struct beam_search *search, size_t place)
{
    const struct prefix_node *nodes = search->decoding->nodes.data;
    size_t node = search->beam[place].node;
    for (size_t i = 0; node != ROOT && i < search->count; i++)
        if (search->beam[i].node == nodes[node].parent) return i;
    return SIZE_MAX;
}

/* Offers the prefixes of the beam and all that are one token longer. */
static size_t collect(const struct beam_search *search, const double *frame, struct candidate *kept, double *grown)
{
    size_t count = 0, size = search->head->size, width = search->decoder->width;
    const struct prefix_node *nodes = search->decoding->nodes.data;
    for (size_t place = 0; place < search->count; place++)
        for (size_t id = 0; id < size; id++) grown[place * size + id] = grown_by(search, frame, place, id);
    for (size_t place = 0; place < search->count; place++) {
        const struct prefix *prefix = &search->beam[place];
        struct candidate stays = {.from = place, .id = SIZE_MAX};
        stays.blank = add_logs(prefix->blank, prefix->token) + frame[search->head->blank];
        stays.token = prefix->token + frame[prefix->last];
        /* A prefix whose child is in the beam adds to that child instead of making it again. */
        size_t parent = place_of_parent(search, place);
        if (parent != SIZE_MAX) {
            stays.token = add_logs(stays.token, grown[parent * size + prefix->last]);
            grown[parent * size + prefix->last] = -(double)INFINITY;
        }
        stays.rank = add_logs(stays.blank, stays.token) + context_score(search, place);
        offer(kept, &count, width, &stays);
    }
    for (size_t place = 0; place < search->count; place++) {
        for (size_t id = 0; id < size; id++) {
            struct candidate longer = {.from = place, .id = id, .blank = -(double)INFINITY};
            longer.token = longer.rank = grown[place * size + id];
            if (has_context(search->decoder)) {
                const struct prefix_node *node = &nodes[search->beam[place].node];
                longer.rank += node->score + gain_of(search->decoder, search->head, node, id);
            }
            offer(kept, &count, width, &longer);
        }
    }
    return count;
}

/* Goes to the next frame. */
static void step_beam(struct beam_search *search, const double *frame)
{
    struct decoding *decoding = search->decoding;
    double blank = frame[search->head->blank];
    if (blank > SURE_BLANK) {
        for (size_t i = 0; i < search->count; i++) {
            struct prefix *prefix = &search->beam[i];
            prefix->blank = add_logs(prefix->blank, prefix->token) + blank;
            prefix->token = -(double)INFINITY;
        }
        return;
    }
    double *grown = decoding->grown.data;
    struct candidate *kept = decoding->candidates.data;
    struct prefix *next = decoding->next_beam.data;
    size_t count = collect(search, frame, kept, grown);
    for (size_t i = 0; i < count; i++) {
        const struct prefix *from = &search->beam[kept[i].from];
        bool stays = kept[i].id == SIZE_MAX;
        next[i] = (struct prefix){from->node, from->last, kept[i].blank, kept[i].token};
        if (stays) continue;
        next[i].last = kept[i].id;
        next[i].node = grow(decoding, search->decoder, search->head, from->node, kept[i].id, search->table_size);
    }
    memcpy(search->beam, next, count * sizeof *next);
    search->count = count;
}

/* What hotwords and bonuses give a prefix as the whole transcript. */
static double final_score(const struct decoder *decoder, const struct prefix_node *node)
{
    double score = node->score + end_of_word(decoder, node);
    return decoder->hotwords.states ? score + ((const double *)decoder->hotwords.at_end.data)[node->state] : score;
}

/* The tokens of a prefix. */
static size_t spell_prefix(const struct prefix_node *nodes, size_t node, size_t *ids)
{
    size_t count = 0;
    for (size_t at = node; at != ROOT; at = nodes[at].parent) count++;
    size_t place = count;
    for (; node != ROOT; node = nodes[node].parent) ids[--place] = nodes[node].token;
    return count;
}

/* Tokens without delimiters at the ends or after another. */
static size_t single_delimiters(size_t *ids, size_t count, size_t delimiter)
{
    size_t kept = 0, before = delimiter;
    for (size_t i = 0; i < count; i++) {
        size_t id = ids[i];
        if (id != delimiter || before != delimiter) ids[kept++] = id;
        before = id;
    }
    return kept && ids[kept - 1] == delimiter ? kept - 1 : kept;
}

/* The best transcript of the beam, those that differ in delimiters only taken together, as a node; `ids` has room for
 * two transcripts. */
static size_t best_transcript(struct beam_search *search, size_t *ids, size_t frames)
{
    const struct prefix_node *nodes = search->decoding->nodes.data;
    size_t delimiter = search->head->delimiter_id, best = SIZE_MAX, *others = ids + frames;
    double best_total = -(double)INFINITY;
    for (size_t i = 0; i < search->count; i++) /* the total stands in place of the blank from here on */
        search->beam[i].blank = add_logs(search->beam[i].blank, search->beam[i].token)
                                + final_score(search->decoder, &nodes[search->beam[i].node]);
    for (size_t i = 0; i < search->count; i++) {
        size_t count = single_delimiters(ids, spell_prefix(nodes, search->beam[i].node, ids), delimiter), first = i;
        double total = search->beam[i].blank;
        for (size_t k = 0; k < search->count; k++) {
            if (k == i) continue;
            size_t other = single_delimiters(others, spell_prefix(nodes, search->beam[k].node, others), delimiter);
            if (other != count || memcmp(ids, others, count * sizeof *ids) != 0) continue;
            total = add_logs(total, search->beam[k].blank);
            if (search->beam[k].blank > search->beam[first].blank) first = k;
        }
        if (first == i && (best == SIZE_MAX || total > best_total)) best = search->beam[i].node, best_total = total;
    }
    return best;
}

/* Prefixes that a search meets at most. */
static size_t most_prefixes(size_t width, size_t frames)
{
    return frames * width + 1;
}

/* A power of two: at most half of the table is filled. */
static size_t table_size_for(size_t width, size_t frames)
{
    size_t size = 64;
    while (size < 2 * most_prefixes(width, frames)) size *= 2;
    return size;
}

static bool reserve_beam(struct decoding *decoding, size_t width, size_t size, size_t frames, w2e_error *error)
{
    return reserve(&decoding->scores, frames * size, sizeof(double), error)
           && reserve(&decoding->nodes, most_prefixes(width, frames), sizeof(struct prefix_node), error)
           && reserve(&decoding->children, table_size_for(width, frames), sizeof(size_t), error)
           && reserve(&decoding->beam, width, sizeof(struct prefix), error)
           && reserve(&decoding->next_beam, width, sizeof(struct prefix), error)
           && reserve(&decoding->candidates, width, sizeof(struct candidate), error)
           && reserve(&decoding->grown, width * size, sizeof(double), error)
           && reserve(&decoding->ids, 2 * frames + 2, sizeof(size_t), error)
           && reserve_alignment(decoding, frames < USUAL_TOKENS ? frames : USUAL_TOKENS, frames, error);
}

static bool decode_beam(struct decoding *decoding, const struct decoder *decoder, const struct ctc_head *head,
                        const float *logits, size_t frames, w2e_error *error)
{
    if (!reserve_beam(decoding, decoder->width, head->size, frames, error)) return false;
    double *scores = log_probabilities(decoding, head, logits, frames);
    size_t table_size = table_size_for(decoder->width, frames);
    struct prefix_node *nodes = decoding->nodes.data;
    size_t *table = decoding->children.data, *ids = decoding->ids.data;
    struct prefix *beam = decoding->beam.data;
    memset(table, 0, table_size * sizeof *table);
    nodes[ROOT] = (struct prefix_node){.parent = SIZE_MAX, .token = SIZE_MAX, .state = decoder->hotwords.start};
    decoding->node_count = 1;
    beam[0] = (struct prefix){ROOT, head->blank, 0, -(double)INFINITY};
    struct beam_search search = {decoding, decoder, head, beam, 1, table_size};
    for (size_t frame = 0; frame < frames; frame++) step_beam(&search, scores + frame * head->size);
    size_t best = best_transcript(&search, ids, frames + 1);
    size_t count = spell_prefix(nodes, best, ids);
    return align(decoding, head, ids, count, scores, frames, error);
}

/* Hotwords -------------------------------------------------------------------------------------------------------- */

/* An automaton of Aho and Corasick, "Efficient string matching", Communications of the ACM 18(6), 1975, whose failure
 * links take back what an unfinished phrase had gained: Zhao et al., "Shallow-Fusion End-to-End Contextual Biasing",
 * Interspeech 2019. */

/* A phrase with its tokens, among them those of a word delimiter around it, which gain nothing. */
struct hotword {
    size_t *ids, count;
    double weight;
};

struct hotword_trie {
    struct phrase_tree tree;
    struct buffer pending, complete; /* double: what an unfinished phrase has gained, and what ends here */
};

/* The one of larger magnitude; the first of equal ones. */
static double larger_of(double a, double b)
{
    return fabs(b) > fabs(a) ? b : a;
}

static bool add_hotword(struct hotword_trie *trie, const struct hotword *hotword, size_t free_tokens, w2e_error *error)
{
    size_t before = trie->tree.nodes;
    if (!add_phrase(&trie->tree, hotword->ids, hotword->count, error)) return false;
    double *pending = reserve(&trie->pending, trie->tree.nodes, sizeof *pending, error);
    double *complete = reserve(&trie->complete, trie->tree.nodes, sizeof *complete, error);
    if (!pending || !complete) return false;
    for (size_t node = before; node < trie->tree.nodes; node++) pending[node] = complete[node] = 0;
    const size_t *parents = trie->tree.parents.data;
    size_t node = ((const size_t *)trie->tree.ends.data)[trie->tree.phrases - 1];
    complete[node] += hotword->weight;
    for (size_t depth = hotword->count; depth-- > 1;) {
        node = parents[node];
        double share = ((double)depth - (double)free_tokens) / ((double)hotword->count - (double)free_tokens);
        pending[node] = larger_of(pending[node], hotword->weight * share);
    }
    return true;
}

/* Fills in where each token leads from each state, and passes on what the longest proper suffix of a state gains. */
static bool fill_transitions(struct hotword_trie *trie, size_t *next, size_t size, w2e_error *error)
{
    size_t nodes = trie->tree.nodes;
    const size_t *parents = trie->tree.parents.data, *tokens = trie->tree.tokens.data;
    double *pending = trie->pending.data, *complete = trie->complete.data;
    size_t *memory = allocate(2 * nodes, sizeof *memory, error), *queue = memory, *suffix = memory + nodes;
    if (!memory) return false;
    size_t read = 0, written = 0;
    memset(next, 0, nodes * size * sizeof *next);
    for (size_t node = 1; node < nodes; node++) {
        if (parents[node] != ROOT) continue;
        next[tokens[node]] = node;
        queue[written++] = node;
    }
    while (read < written) {
        size_t node = queue[read++], shorter = suffix[node];
        memcpy(next + node * size, next + shorter * size, size * sizeof *next);
        complete[node] += complete[shorter];
        pending[node] = larger_of(pending[node], pending[shorter]);
        for (size_t child = node + 1; child < nodes; child++) {
            if (parents[child] != node) continue;
            suffix[child] = next[shorter * size + tokens[child]];
            next[node * size + tokens[child]] = child;
            queue[written++] = child;
        }
    }
    W2E_FREE(memory);
    return true;
}

/* The automaton of phrases with their weights. */
static bool make_automaton(struct hotwords *hotwords, struct hotword_trie *trie, const struct ctc_head *head,
                           w2e_error *error)
{
    size_t states = trie->tree.nodes, size = head->size, border = head->delimiter_id;
    size_t *next = reserve(&hotwords->next, states * size, sizeof *next, error);
    double *gain = reserve(&hotwords->gain, states * size, sizeof *gain, error);
    double *at_end = reserve(&hotwords->at_end, states, sizeof *at_end, error);
    if (!next || !gain || !at_end || !fill_transitions(trie, next, size, error)) return false;
    const double *pending = trie->pending.data, *complete = trie->complete.data;
    const size_t *tokens = trie->tree.tokens.data;
    for (size_t state = 0; state < states; state++) {
        for (size_t id = 0; id < size; id++) {
            size_t to = next[state * size + id];
            gain[state * size + id] = pending[to] + complete[to] - pending[state];
        }
        at_end[state] = -pending[state];
    }
    hotwords->states = states;
    hotwords->start = ROOT;
    if (border == SIZE_MAX) return true;
    hotwords->start = next[border];
    for (size_t state = 0; state < states; state++) {
        if (state == ROOT || tokens[state] != border) {
            at_end[state] = complete[next[state * size + border]] - pending[state];
            continue;
        }
        /* A second delimiter in a row makes no new word, and must not leave the phrase. */
        gain[state * size + border] = 0;
        next[state * size + border] = state;
    }
    return true;
}

/* Spelling -------------------------------------------------------------------------------------------------------- */

/* The written token that a text begins with, the longest that fits; SIZE_MAX: none. */
static size_t token_at(const struct ctc_head *head, const char *text)
{
    size_t best = SIZE_MAX, longest = 1;
    for (size_t i = 0; i < head->size; i++) {
        size_t length = strlen(head->cased[i]);
        if (head->silent[i] || i == head->delimiter_id || length < longest) continue;
        if (strncmp(head->cased[i], text, length) == 0) longest = length, best = i;
    }
    return best;
}

/* What the vocabulary writes inside words, in order. */
static struct line written_tokens(const struct ctc_head *head, w2e_error *error)
{
    struct line line = {""};
    size_t count = 0;
    const char **sorted = allocate(head->size, sizeof *sorted, error);
    for (size_t i = 0; sorted && i < head->size; i++)
        if (!head->silent[i] && i != head->delimiter_id) sorted[count++] = head->cased[i];
    if (sorted) qsort(sorted, count, sizeof *sorted, compare_texts);
    for (size_t i = 0; i < count; i++) line_add(&line, " ", sorted[i]);
    W2E_FREE(sorted);
    return line;
}

static bool is_space(char letter)
{
    return letter && strchr(" \t\r\n\f\v", letter);
}

/* The first character behind another, by their codes, that begins no token where a text is spelt; 0: there is none. */
static int32_t next_unknown(const struct ctc_head *head, const char *text, int32_t after)
{
    int32_t found = 0;
    while (*text) {
        size_t id = is_space(*text) ? SIZE_MAX : token_at(head, text);
        int bytes;
        int32_t code = take_utf8(text, &bytes);
        if (id == SIZE_MAX && !is_space(*text) && code > after && (!found || code < found)) found = code;
        text += id == SIZE_MAX ? (size_t)bytes : strlen(head->cased[id]);
    }
    return found;
}

/* Adds a line to an error with the characters that the vocabulary cannot spell. */
static void add_unknown(const struct ctc_head *head, const char *text, const char *cased, w2e_error *error)
{
    if (!error) return;
    struct line known = written_tokens(head, error), unknown = {""};
    for (int32_t code = 0; (code = next_unknown(head, cased, code)) != 0;) {
        char character[5] = "", quoted[8];
        put_utf8(character, code);
        snprintf(quoted, sizeof quoted, "'%s'", character);
        line_add(&unknown, ", ", quoted);
    }
    w2e_error one = {.code = 0};
    fail(&one, MESSAGE_SPELL_UNKNOWN, "text", text, "characters", unknown.text, "known", known.text, NULL);
    size_t length = error->code ? strlen(error->message) : 0;
    size_t room = sizeof error->message - length;
    snprintf(error->message + length, room, "%s%.*s", length ? "\n" : "", (int)(room > 2 ? room - 2 : 0), one.message);
    error->code = one.code;
    error->kind = one.kind;
}

/* Token ids of a text, words separated by the delimiter, and `around` it on both sides. Where it cannot be spelt, the
 * error gets lines, and the count is SIZE_MAX. */
static bool spell(const struct ctc_head *head, const char *text, bool around, struct buffer *out, size_t *count,
                  w2e_error *error)
{
    char *cased = head->lower_case ? lower_copy(text, error) : copy_text(text, error);
    size_t *ids = cased ? reserve(out, 2 * strlen(cased) + 3, sizeof *ids, error) : NULL;
    if (!ids) {
        W2E_FREE(cased);
        return false;
    }
    size_t delimiter = head->delimiter_id, spelt = 0;
    bool in_word = false, known = next_unknown(head, cased, 0) == 0;
    for (const char *at = cased; known && *at;) {
        if (is_space(*at)) {
            in_word = false;
            at++;
            continue;
        }
        if (!in_word && delimiter != SIZE_MAX && (spelt || around)) ids[spelt++] = delimiter;
        in_word = true;
        size_t id = token_at(head, at);
        ids[spelt++] = id;
        at += strlen(head->cased[id]);
    }
    if (known && spelt && around && delimiter != SIZE_MAX) ids[spelt++] = delimiter;
    *count = known ? spelt : SIZE_MAX;
    if (!known) add_unknown(head, text, cased, error);
    W2E_FREE(cased);
    return !known || spelt || fail(error, MESSAGE_SPELL_EMPTY, NULL);
}

/* Stored decoders ------------------------------------------------------------------------------------------------- */

#define WIDEST_BEAM 10000
#define HEAVIEST 1e6 /* the sums of heavier weights overflow */

/* What an option of a decoder is. */
struct decoder_option {
    char name[12];
    int8_t kind; /* a type of JSON, or KIND_INT */
    char wanted[28];
};

/* The options of a decoder, with a name of its own. */
struct decoder_form {
    char name[8];
    struct decoder_option options[6];
};

static const struct decoder_form BEAM_FORM = {"beam",
                                              {{"hotwords", JSON_OBJECT, "words with weights"},
                                               {"lm", JSON_TEXT, "a file name"},
                                               {"lm_units", JSON_TEXT, "words or tokens"},
                                               {"lm_weight", JSON_NUMBER, "a number"},
                                               {"width", KIND_INT, "a whole number"},
                                               {"word_bonus", JSON_NUMBER, "a number"}}};
static const struct decoder_form GRAMMAR_FORM = {
    "grammar", {{"least_fit", JSON_NUMBER, "a number"}, {"phrases", JSON_ARRAY, "a list of texts"}}};

static bool wrong_option(const struct decoder_option *option, const struct json *value, w2e_error *error)
{
    return fail(error, MESSAGE_OPTION_KIND, "option", option->name, "value", json_shown(value).text, "kind",
                option->wanted, NULL);
}

/* Whether a decoder knows its options, and each of them is what it should be. */
static bool check_decoder_options(const struct decoder_form *form, const struct json *options, w2e_error *error)
{
    struct line known = {""};
    for (size_t i = 0; i < 6 && *form->options[i].name; i++) line_add(&known, ", ", form->options[i].name);
    if (options->type != JSON_OBJECT)
        return fail(error, MESSAGE_DECODER_OPTIONS, "decoder", form->name, "known", known.text, "got",
                    json_shown(options).text, NULL);
    for (const struct json *each = options->first; each; each = each->next) {
        size_t i = 0;
        while (i < 6 && strcmp(form->options[i].name, each->key) != 0) i++;
        if (i == 6)
            return fail(error, MESSAGE_DECODER_OPTIONS, "decoder", form->name, "known", known.text, "got",
                        key_shown(each).text, NULL);
        if (each->type != JSON_NULL && !json_is(each, form->options[i].kind))
            return wrong_option(&form->options[i], each, error);
        if (form->options[i].kind == KIND_INT && each->number > WIDEST_BEAM)
            return fail(error, MESSAGE_AT_MOST, "option", each->key, "value", json_shown(each).text, "most",
                        integer(WIDEST_BEAM).text, NULL);
    }
    return true;
}

/* A number among options, or what it is otherwise. */
static double number_or(const struct json *options, const char *key, double otherwise)
{
    const struct json *found = json_member(options, key);
    return found ? found->number : otherwise;
}

static bool read_hotwords(struct decoder *decoder, const struct json *entry, const struct ctc_head *head,
                          w2e_error *error)
{
    struct hotword_trie trie = {.tree = {.nodes = 0}};
    struct buffer ids = {0};
    bool fine = true;
    for (const struct json *each = entry->first; fine && each; each = each->next) {
        struct hotword hotword = {.weight = each->number};
        w2e_error unknown = {.code = 0};
        fine = spell(head, each->key, true, &ids, &hotword.count, &unknown) && hotword.count != SIZE_MAX;
        if (!fine && error) *error = unknown;
        hotword.ids = ids.data;
        fine = fine && add_hotword(&trie, &hotword, head->delimiter_id != SIZE_MAX, error);
    }
    fine = fine && make_automaton(&decoder->hotwords, &trie, head, error);
    release(&ids);
    release_tree(&trie.tree);
    release(&trie.pending);
    release(&trie.complete);
    return fine;
}

/* Whether a weight, which may be missing, can be added to others. */
static bool check_weight(const struct json *weight, w2e_error *error)
{
    double value = !weight ? 0 : weight->type == JSON_NUMBER ? weight->number : (double)NAN;
    return fabs(value) <= HEAVIEST
           || fail(error, isfinite(value) ? MESSAGE_BEAM_HEAVIEST : MESSAGE_BEAM_WEIGHT, "name", weight->key, "weight",
                   json_shown(weight).text, "most", general(HEAVIEST, 6).text, NULL);
}

static bool check_weights(const struct json *options, const struct json *hotwords, w2e_error *error)
{
    bool fine = check_weight(json_member(options, "lm_weight"), error)
                && check_weight(json_member(options, "word_bonus"), error);
    for (const struct json *each = hotwords ? hotwords->first : NULL; fine && each; each = each->next)
        fine = check_weight(each, error);
    return fine;
}

static bool read_beam(struct decoder *decoder, const struct json *options, const struct ctc_head *head,
                      w2e_error *error)
{
    double width = number_or(options, "width", 16);
    decoder->kind = BEAM;
    decoder->word_bonus = number_or(options, "word_bonus", 0);
    const struct json *hotwords = json_member(options, "hotwords"), *units = json_member(options, "lm_units");
    if (width < 1)
        return fail(error, MESSAGE_AT_LEAST_ONE, "option", "width", "value", integer((int64_t)width).text, NULL);
    if (!check_weights(options, hotwords, error)) return false;
    if (units && strcmp(units->text, "words") != 0 && strcmp(units->text, "tokens") != 0)
        return fail(error, MESSAGE_BEAM_LM_UNITS, "option", "lm_units", "units", units->text, NULL);
    if (json_member(options, "lm")) return fail(error, MESSAGE_DECODER_NO_LM, NULL);
    decoder->width = (size_t)width;
    return !hotwords || !hotwords->count || read_hotwords(decoder, hotwords, head, error);
}

/* A phrase with single spaces between its words. */
static void squeeze(const char *text, char *out)
{
    char *begin = out;
    for (; *text; text++) {
        if (!is_space(*text)) *out++ = *text;
        else if (out > begin && out[-1] != ' ') *out++ = ' ';
    }
    if (out > begin && out[-1] == ' ') out--;
    *out = 0;
}

static bool check_repeated_phrases(char *const *phrases, size_t count, w2e_error *error)
{
    const char **sorted = allocate(count, sizeof *sorted, error), *repeated = NULL;
    if (!sorted) return false;
    memcpy(sorted, phrases, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_texts);
    for (size_t i = count; i-- > 1;)
        if (strcmp(sorted[i - 1], sorted[i]) == 0) repeated = sorted[i];
    bool fine = !repeated || fail(error, MESSAGE_GRAMMAR_REPEATED, "phrase", repeated, NULL);
    W2E_FREE(sorted);
    return fine;
}

static bool add_phrases(struct decoder *decoder, char *const *phrases, size_t count, const struct ctc_head *head,
                        w2e_error *error)
{
    struct buffer ids = {0};
    w2e_error unknown = {.code = 0};
    bool fine = true;
    for (size_t i = 0; fine && i < count; i++) {
        size_t length;
        w2e_error other = unknown;
        fine = spell(head, phrases[i], false, &ids, &length, &other);
        unknown = other;
        if (fine && length != SIZE_MAX) fine = add_phrase(&decoder->grammar, ids.data, length, &unknown);
    }
    release(&ids);
    if (unknown.code && error) *error = unknown;
    return fine && !unknown.code;
}

static bool read_grammar(struct decoder *decoder, const struct json *options, const struct ctc_head *head,
                         w2e_error *error)
{
    const struct json *list = json_member(options, "phrases");
    decoder->kind = GRAMMAR;
    decoder->least_fit = number_or(options, "least_fit", decoder->least_fit);
    if (!list) return wrong_option(&GRAMMAR_FORM.options[1], list, error);
    if (!list->count) return fail(error, MESSAGE_GRAMMAR_EMPTY, NULL);
    size_t count = 0;
    char **phrases = allocate(list->count, sizeof *phrases, error);
    bool fine = phrases;
    for (const struct json *each = list->first; fine && each; each = each->next) {
        if (each->type != JSON_TEXT) {
            fine = wrong_option(&GRAMMAR_FORM.options[1], list, error);
            break;
        }
        phrases[count] = allocate(strlen(each->text) + 1, 1, error);
        fine = phrases[count];
        if (fine) squeeze(each->text, phrases[count++]);
    }
    fine = fine && check_repeated_phrases(phrases, count, error);
    if (fine && !(decoder->least_fit >= 0 && decoder->least_fit <= 1))
        fine = fail(error, MESSAGE_GRAMMAR_LEAST_FIT, "option", "least_fit", "value", shown(decoder->least_fit).text,
                    NULL);
    fine = fine && add_phrases(decoder, phrases, count, head, error);
    for (size_t i = 0; i < count; i++) W2E_FREE(phrases[i]);
    W2E_FREE(phrases);
    return fine;
}

/* The decoder of a description: one kind, with its options. */
static bool read_decoder(struct decoder *decoder, const struct json *entry, const struct ctc_head *head,
                         w2e_error *error)
{
    struct line got = {""};
    bool named = entry->type == JSON_OBJECT;
    if (!named) line_add(&got, "", json_shown(entry).text);
    for (const struct json *each = named ? entry->first : NULL; each; each = each->next)
        line_add(&got, ", ", key_shown(each).text);
    const struct json *options = entry->first;
    const struct decoder_form *form =
        named && options && strcmp(options->key, "beam") == 0 ? &BEAM_FORM : &GRAMMAR_FORM;
    if (!named || entry->count != 1 || strcmp(options->key, form->name) != 0)
        return fail(error, MESSAGE_DECODER_KIND, "got", got.text[0] ? got.text : "none", NULL);
    const struct json *phrases = form == &GRAMMAR_FORM ? json_member(options, "phrases") : NULL;
    if (phrases && phrases->type == JSON_TEXT) return fail(error, MESSAGE_GRAMMAR_TEXT, "phrases", phrases->text, NULL);
    if (!check_decoder_options(form, options, error)) return false;
    if (!head->output) return true; /* nothing is transcribed */
    return (form == &GRAMMAR_FORM ? read_grammar : read_beam)(decoder, options, head, error);
}

/* Reading outputs ------------------------------------------------------------------------------------------------- */

/* Each head's output for one clip. */
struct outputs {
    struct buffer logits, classes, labels,
        embedding; /* float [frames, vocabulary], [classes], [frames, labels], [size] */
    size_t frames, label_frames;
};

/* Outputs where they lie. */
struct view {
    const float *logits, *classes, *labels, *embedding;
    size_t frames, label_frames;
};

/* A stretch of neighbouring frames that have a label. */
struct stretch {
    size_t label, start, end;
    double confidence;
};

/* What outputs say, before it is judged. */
struct reading {
    struct words words;
    struct buffer scores;    /* double [classes] */
    struct buffer stretches; /* struct stretch: in order of their starts */
    size_t stretch_count;
    const float *embedding; /* where the outputs have it */
    double confidence;
    bool rejected;
};

/* What reading outputs needs from call to call; an engine and each stream have their own. */
struct reader {
    struct decoding decoding;
    struct reading reading;
};

/* Where the inputs of the graph lie. */
struct graph_input {
    struct buffer samples, mask;
};

/* The outputs of samples of a recording; `first_frame` and the `frames` behind it are its own. */
struct piece {
    int64_t start, end;
    size_t first_frame, frames;
    struct outputs outputs;
};

struct stream_session;

struct w2e_engine {
    struct ort ort;
    struct bundle bundle;
    struct session session;
    const struct variant *variant;
    struct session_options session_options;
    bool verify, word_times;
    double reject_below, longest_segment_s;
    struct decoder decoder;
    struct stream_session *stream_sessions;
    pid_t process;
    char *description; /* what messages call it */
    /* What a call needs, and what it answers. */
    struct reader reader;
    struct outputs outputs;
    struct piece pieces[2];
    struct graph_input input;
    struct buffer mono, clip;
    struct resampler resampler;
    struct arena answers;
    w2e_result result;
    w2e_self_test self_test;
};

static void release_outputs(struct outputs *outputs)
{
    release(&outputs->logits);
    release(&outputs->classes);
    release(&outputs->labels);
    release(&outputs->embedding);
}

static void release_reader(struct reader *reader)
{
    release_decoding(&reader->decoding);
    release_words(&reader->reading.words);
    release(&reader->reading.scores);
    release(&reader->reading.stretches);
}

static struct view view_of(const struct outputs *outputs)
{
    return (struct view){outputs->logits.data,    outputs->classes.data, outputs->labels.data,
                         outputs->embedding.data, outputs->frames,       outputs->label_frames};
}

static bool all_finite(const float *values, size_t count)
{
    float odd = 0;
    for (size_t i = 0; i < count; i++) odd += values[i] * 0; /* stays 0 unless a value is not finite */
    return odd == 0;
}

/* Scores of the classes, from logits that are divided by the temperature. */
static bool read_scores(struct reading *reading, const struct class_head *head, const float *logits, double temperature,
                        w2e_error *error)
{
    double *scores = reserve(&reading->scores, head->size, sizeof *scores, error);
    if (!scores) return false;
    double largest, sum = 0;
    log_sum(logits, head->size, (float)temperature, &largest);
    for (size_t i = 0; i < head->size; i++) {
        scores[i] = exp((double)(logits[i] / (float)temperature) - largest);
        sum += scores[i];
    }
    reading->confidence = 0;
    for (size_t i = 0; i < head->size; i++) {
        scores[i] /= sum;
        if (scores[i] > reading->confidence) reading->confidence = scores[i];
    }
    return true;
}

/* The text of tokens, and of each of its bytes the place of the token that it is from. */
struct transcript {
    char *text;
    uint32_t *owners;
    size_t length;
};

#define NO_OWNER UINT32_MAX

/* Room for the text of so many tokens, as it is and in lowercase. */
static bool reserve_transcript(struct decoding *decoding, const struct ctc_head *head, size_t tokens, w2e_error *error)
{
    size_t bytes = tokens * (head->longest_bytes + strlen(head->separator)) + 1;
    size_t lowered = head->lower_case ? 2 * bytes : 1;
    return reserve(&decoding->text, bytes, 1, error) && reserve(&decoding->owners, bytes, sizeof(uint32_t), error)
           && reserve(&decoding->lowered, lowered, 1, error)
           && reserve(&decoding->lowered_owners, lowered, sizeof(uint32_t), error);
}

static void add_piece(struct transcript *transcript, const char *piece, uint32_t owner)
{
    for (; *piece; piece++, transcript->length++) {
        transcript->text[transcript->length] = *piece;
        transcript->owners[transcript->length] = owner;
    }
}

/* Whether a character is white space, as Python's str.isspace has it. */
static bool is_white(int32_t code)
{
    return (code >= 9 && code <= 13) || (code >= 28 && code <= 32) || code == 0x85 || code == 0xA0 || code == 0x1680
           || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F
           || code == 0x3000;
}

/* Bytes of white space that a text begins with. */
static size_t white_at(const char *text, size_t length)
{
    size_t white = 0;
    int bytes;
    while (white < length && is_white(take_utf8(text + white, &bytes))) white += (size_t)bytes;
    return white;
}

/* Bytes up to the next white space. */
static size_t word_at_text(const char *text, size_t length)
{
    size_t word = 0;
    for (int bytes; word < length && !is_white(take_utf8(text + word, &bytes));) word += (size_t)bytes;
    return word;
}

/* Leaves out the white space at both ends. */
static void strip(struct transcript *transcript)
{
    size_t white = white_at(transcript->text, transcript->length), end = white;
    for (size_t at = white; at < transcript->length;) {
        at += word_at_text(transcript->text + at, transcript->length - at);
        end = at;
        at += white_at(transcript->text + at, transcript->length - at);
    }
    transcript->text += white;
    transcript->owners += white;
    transcript->length = end - white;
}

/* Leaves out spaces in front of punctuation and of English short forms, one kind after the other (what transformers'
 * clean_up_tokenization does). */
static void tighten(struct transcript *transcript)
{
    static const char TIGHT[][5] = {" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"};
    for (size_t i = 0; i < sizeof TIGHT / sizeof *TIGHT; i++) {
        size_t kept = 0, length = strlen(TIGHT[i]);
        for (size_t at = 0; at < transcript->length;) {
            bool found = transcript->length - at >= length && memcmp(transcript->text + at, TIGHT[i], length) == 0;
            for (size_t end = at + (found ? length : 1); at < end; at++) {
                if (found && transcript->text[at] == ' ') continue;
                transcript->text[kept] = transcript->text[at];
                transcript->owners[kept++] = transcript->owners[at];
            }
        }
        transcript->length = kept;
    }
}

/* The transcript of transformers' Wav2Vec2CTCTokenizer and Wav2Vec2PhonemeCTCTokenizer. */
static struct transcript write_tokens(struct decoding *decoding, const struct ctc_head *head)
{
    const struct token *tokens = decoding->tokens.data;
    struct transcript transcript = {decoding->text.data, decoding->owners.data, 0};
    for (size_t i = 0; i < decoding->token_count; i++) {
        if (i) add_piece(&transcript, head->separator, NO_OWNER);
        bool delimits = tokens[i].id == head->delimiter_id;
        add_piece(&transcript, delimits ? head->delimiter_text : head->vocabulary[tokens[i].id], (uint32_t)i);
    }
    strip(&transcript);
    if (head->lower_case) {
        struct transcript lowered = {decoding->lowered.data, decoding->lowered_owners.data, 0};
        lowered.length =
            lower_text(transcript.text, transcript.length, transcript.owners, lowered.text, lowered.owners);
        transcript = lowered;
    }
    if (head->cleans_up) tighten(&transcript);
    return transcript;
}

/* Adds a word of a transcript, unless no token has a part in it. It is right if all its tokens are: of each the surest
 * frame counts, since CTC can be unsure of where a token begins and sure of the token. */
static bool add_written(struct words *words, const struct transcript *transcript, size_t begin, size_t end,
                        const struct token *tokens, double frame_s, w2e_error *error)
{
    uint32_t first = NO_OWNER, last = 0;
    for (size_t i = begin; i < end; i++) {
        uint32_t owner = transcript->owners[i];
        if (owner == NO_OWNER) continue;
        if (first == NO_OWNER || owner < first) first = owner;
        if (owner > last) last = owner;
    }
    if (first == NO_OWNER) return true;
    double score = 0;
    for (uint32_t place = first; place <= last; place++) {
        bool own = false;
        for (size_t i = begin; i < end && !own; i++) own = transcript->owners[i] == place;
        if (own) score += tokens[place].log_probability;
    }
    struct word word = {.start_s = (double)tokens[first].start * frame_s, .end_s = (double)tokens[last].end * frame_s};
    word.confidence = exp(score);
    return add_word(words, word, error) && extend_word(words, transcript->text + begin, end - begin, error);
}

/* The words of the tokens, which are what white space separates in their transcript. */
static bool join_words(struct words *words, const struct bundle *bundle, struct decoding *decoding, w2e_error *error)
{
    if (!reserve_transcript(decoding, &bundle->heads.ctc, decoding->token_count, error)) return false;
    struct transcript transcript = write_tokens(decoding, &bundle->heads.ctc);
    double frame_s = bundle->geometry.frame_s;
    for (size_t at = 0; at < transcript.length;) {
        size_t end = at + word_at_text(transcript.text + at, transcript.length - at);
        if (end > at && !add_written(words, &transcript, at, end, decoding->tokens.data, frame_s, error)) return false;
        at = end + white_at(transcript.text + end, transcript.length - end);
    }
    return true;
}

static bool read_transcript(struct reader *reader, const struct w2e_engine *engine, const float *logits, size_t frames,
                            w2e_error *error)
{
    const struct ctc_head *head = &engine->bundle.heads.ctc;
    struct decoding *decoding = &reader->decoding;
    struct reading *reading = &reader->reading;
    decoding->has_confidence = decoding->rejected = false;
    bool fine = engine->decoder.kind == GREEDY ? best_path(decoding, head, logits, frames, error)
                : engine->decoder.kind == BEAM
                    ? decode_beam(decoding, &engine->decoder, head, logits, frames, error)
                    : decode_grammar(decoding, &engine->decoder, head, logits, frames, error);
    struct token *tokens = decoding->tokens.data;
    double temperature = engine->bundle.ctc_temperature;
    for (size_t i = 0; fine && temperature > 0 && i < decoding->token_count; i++) {
        const float *row = logits + tokens[i].surest * head->size;
        tokens[i].log_probability = log_probability(row, head->size, tokens[i].id, (float)temperature);
    }
    if (!fine || !join_words(&reading->words, &engine->bundle, decoding, error)) return false;
    reading->rejected = decoding->rejected;
    reading->confidence = decoding->confidence;
    if (decoding->has_confidence) return true;
    double sum = 0; /* the share of words that are right, as far as their confidences tell */
    for (size_t i = 0; i < reading->words.count; i++) sum += word_at(&reading->words, i)->confidence;
    reading->confidence = reading->words.count ? sum / (double)reading->words.count : 1;
    return true;
}

/* The probability of a label in a frame, and whether the frame has it. */
static double label_probability(const struct frame_head *head, const float *row, size_t label, bool *present)
{
    if (!head->exclusive) {
        *present = row[label] > 0;
        return (1 + tanh((double)row[label] / 2)) / 2; /* the sigmoid, without overflow */
    }
    *present = best_of(row, head->size) == label;
    return exp(log_probability(row, head->size, label, 1));
}

static int compare_stretches(const void *left, const void *right)
{
    const struct stretch *one = left, *other = right;
    if (one->start != other->start) return one->start < other->start ? -1 : 1;
    return one->label < other->label ? -1 : one->label > other->label;
}

/* The stretches of frames that have a label; those of several labels may overlap. */
static bool read_stretches(struct reading *reading, const struct frame_head *head, const float *logits, size_t frames,
                           w2e_error *error)
{
    double weighed = 0, total = 0;
    for (size_t label = 0; label < head->size; label++) {
        bool before = false;
        for (size_t frame = 0; frame < frames; frame++) {
            bool present;
            double probability = label_probability(head, logits + frame * head->size, label, &present);
            size_t count = reading->stretch_count + (present && !before);
            struct stretch *stretches = reserve(&reading->stretches, count + 1, sizeof *stretches, error);
            if (!stretches) return false;
            if (present && !before) stretches[reading->stretch_count++] = (struct stretch){label, frame, frame, 0};
            if (present) stretches[count - 1].end = frame + 1, stretches[count - 1].confidence += probability;
            before = present;
        }
    }
    struct stretch *stretches = reading->stretches.data;
    for (size_t i = 0; i < reading->stretch_count; i++) {
        double length = (double)(stretches[i].end - stretches[i].start);
        weighed += stretches[i].confidence;
        total += length;
        stretches[i].confidence /= length;
    }
    if (reading->stretch_count) qsort(stretches, reading->stretch_count, sizeof *stretches, compare_stretches);
    reading->confidence = total > 0 ? weighed / total : 1;
    return true;
}

static bool finite_outputs(const struct heads *heads, const struct view *view)
{
    return (!heads->ctc.output || all_finite(view->logits, view->frames * heads->ctc.size))
           && (!heads->classes.output || all_finite(view->classes, heads->classes.size))
           && (!heads->frames.output || all_finite(view->labels, view->label_frames * heads->frames.size))
           && (!heads->embedding.output || all_finite(view->embedding, heads->embedding.size));
}

/* What outputs say; those of heads that the model lacks are not looked at. */
static bool read_outputs(struct reader *reader, const struct w2e_engine *engine, const struct view *view,
                         w2e_error *error)
{
    const struct bundle *bundle = &engine->bundle;
    const struct heads *heads = &bundle->heads;
    struct reading *reading = &reader->reading;
    if (!finite_outputs(heads, view))
        return fail(error, MESSAGE_OUTPUT_NOT_FINITE, "engine", engine->description, NULL);
    clear_words(&reading->words);
    reading->rejected = false;
    reading->confidence = 1;
    reading->stretch_count = 0;
    reading->embedding = view->embedding;
    double temperature = bundle->class_temperature > 0 ? bundle->class_temperature : 1;
    return (!heads->frames.output || read_stretches(reading, &heads->frames, view->labels, view->label_frames, error))
           && (!heads->classes.output || read_scores(reading, &heads->classes, view->classes, temperature, error))
           && (!heads->ctc.output || read_transcript(reader, engine, view->logits, view->frames, error));
}

/* The most probable label. */
static size_t best_label(const struct reading *reading, size_t count)
{
    const double *scores = reading->scores.data;
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

/* Puts words into an answer, so many seconds later. */
static bool put_words(w2e_answer *answer, struct arena *arena, const struct words *words, double later_s,
                      w2e_error *error)
{
    w2e_word *list = arena_take(arena, words->count, sizeof *list, error);
    size_t length = 0;
    for (size_t i = 0; i < words->count; i++) length += strlen(word_text(words, i)) + 1;
    char *text = list ? arena_take(arena, 2 * length + 1, 1, error) : NULL, *each = text + length + 1;
    if (!text) return false;
    answer->text = text;
    answer->words = list;
    answer->word_count = words->count;
    for (size_t i = 0; i < words->count; i++) {
        const struct word *word = word_at(words, i);
        size_t size = strlen(word_text(words, i));
        memcpy(text, word_text(words, i), size);
        memcpy(each, word_text(words, i), size + 1);
        list[i] = (w2e_word){each, word->start_s + later_s, word->end_s + later_s, word->confidence};
        text += size;
        each += size + 1;
        if (i + 1 < words->count) *text++ = ' ';
    }
    *text = 0;
    return true;
}

/* Puts the labels of frames into an answer, none where it is rejected. */
static bool put_stretches(w2e_answer *answer, struct arena *arena, const struct bundle *bundle,
                          const struct reading *reading, double later_s, bool rejected, w2e_error *error)
{
    const struct frame_head *head = &bundle->heads.frames;
    const struct stretch *stretches = reading->stretches.data;
    if (!head->output) return true;
    w2e_frame_label *list = arena_take(arena, reading->stretch_count, sizeof *list, error);
    if (!list) return false;
    double frame_s = bundle->geometry.frame_s;
    answer->frame_labels = list;
    answer->frame_label_count = rejected ? 0 : reading->stretch_count;
    for (size_t i = 0; i < answer->frame_label_count; i++)
        list[i] = (w2e_frame_label){head->labels[stretches[i].label], (double)stretches[i].start * frame_s + later_s,
                                    (double)stretches[i].end * frame_s + later_s, stretches[i].confidence};
    return true;
}

static bool put_embedding(w2e_answer *answer, struct arena *arena, const struct embedding_head *head,
                          const float *numbers, w2e_error *error)
{
    if (!head->output) return true;
    float *copy = arena_take(arena, head->size, sizeof *copy, error);
    if (!copy) return false;
    memcpy(copy, numbers, head->size * sizeof *copy);
    answer->embedding = copy;
    answer->embedding_size = head->size;
    return true;
}

/* The answer of a reading with these words, on a clock on which it begins so many seconds later. It is judged: without
 * its words where it is not sure enough, and without word times that are not borne out. */
static bool make_answer(w2e_answer *answer, struct arena *arena, const struct w2e_engine *engine,
                        const struct reading *reading, const struct words *words, double later_s, bool judged,
                        w2e_error *error)
{
    const struct class_head *head = &engine->bundle.heads.classes;
    static const struct words NO_WORDS = {.count = 0};
    *answer = (w2e_answer){.confidence = reading->confidence, .rejected = reading->rejected};
    if (judged && reading->confidence < engine->reject_below) answer->rejected = true;
    if (engine->bundle.heads.ctc.output
        && !put_words(answer, arena, judged && answer->rejected ? &NO_WORDS : words, later_s, error))
        return false;
    if (!engine->word_times) {
        answer->words = NULL;
        answer->word_count = 0;
    }
    if (!put_stretches(answer, arena, &engine->bundle, reading, later_s, judged && answer->rejected, error)
        || !put_embedding(answer, arena, &engine->bundle.heads.embedding, reading->embedding, error))
        return false;
    if (!head->output) return true;
    w2e_score *scores = arena_take(arena, head->size, sizeof *scores, error);
    if (!scores) return false;
    for (size_t i = 0; i < head->size; i++)
        scores[i] = (w2e_score){head->labels[i], ((const double *)reading->scores.data)[i]};
    answer->scores = scores;
    answer->score_count = head->size;
    if (!answer->rejected) answer->label = head->labels[best_label(reading, head->size)];
    return true;
}

/* Running the graph ------------------------------------------------------------------------------------------------ */

/* The graph must ask for the samples, for a mask if it is batched, and for nothing else. */
static bool check_inputs(const struct session *session, bool batched, w2e_error *error)
{
    if (has_name(&session->inputs, INPUT) && session->inputs.count == (batched ? 2u : 1u)
        && (!batched || has_name(&session->inputs, MASK)))
        return true;
    return fail(error, batched ? MESSAGE_GRAPH_INPUTS_BATCHED : MESSAGE_GRAPH_INPUTS, "path", session->path, "names",
                listed(&session->inputs).text, NULL);
}

/* The graph must give an output of a name, and as wide as the manifest says. */
static bool check_output(const struct session *session, const char *name, size_t width, w2e_error *error)
{
    if (!has_name(&session->outputs, name))
        return fail(error, MESSAGE_GRAPH_OUTPUTS, "path", session->path, "names", listed(&session->outputs).text,
                    "name", name, NULL);
    size_t place = 0, rank;
    while (strcmp(session->outputs.items[place], name) != 0) place++;
    int type;
    int64_t shape[MAX_RANK];
    OrtStatus *status = describe(session, true, place, &type, shape, &rank);
    if (status) session->ort->ReleaseStatus(status);
    if (status || !rank || shape[rank - 1] < 0 || shape[rank - 1] == (int64_t)width) return true;
    return fail(error, MESSAGE_GRAPH_WIDTH, "path", session->path, "name", name, "width", integer(shape[rank - 1]).text,
                "expected", integer((int64_t)width).text, NULL);
}

/* Takes an output over, of which the last axis is so wide; `rows` of it are wanted at most. */
static bool take_output(const struct session *session, OrtValue *value, size_t width, size_t most, struct buffer *out,
                        size_t *rows, struct reason *reason, w2e_error *error)
{
    int64_t shape[MAX_RANK];
    size_t rank = 0, count = 1;
    const float *values;
    OrtStatus *status = read_tensor(session->ort, value, shape, &rank, &values);
    if (status) {
        *reason = reason_of(session->ort, status);
        return false;
    }
    for (size_t i = 0; i < rank; i++) count *= shape[i] > 0 ? (size_t)shape[i] : 0;
    if (!values || !rank || shape[rank - 1] != (int64_t)width) {
        snprintf(reason->text, sizeof reason->text, "an output has another shape than the manifest says");
        return false;
    }
    *rows = count / width < most ? count / width : most;
    float *copy = reserve(out, *rows * width, sizeof *copy, error);
    if (copy) memcpy(copy, values, *rows * width * sizeof *copy);
    return copy;
}

/* The inputs of a clip: its samples, and a mask of ones where the graph takes one. */
static OrtStatus *make_inputs(const struct w2e_engine *engine, float *samples, size_t count, struct buffer *mask,
                              OrtValue *values[2])
{
    const struct session *session = &engine->session;
    int64_t shape[2] = {1, (int64_t)count};
    OrtStatus *status =
        make_tensor(session->ort, samples, count * sizeof *samples, shape, 2, ELEMENT_FLOAT, &values[0]);
    if (status || !engine->variant->batched) return status;
    int type;
    int64_t axes[MAX_RANK];
    size_t rank, place = strcmp(session->inputs.items[0], MASK) == 0 ? 0 : 1;
    status = describe(session, false, place, &type, axes, &rank);
    if (status) return status;
    bool truth = type == ELEMENT_BOOL;
    if (truth) memset(mask->data, 1, count);
    for (size_t i = 0; !truth && i < count; i++) ((int64_t *)mask->data)[i] = 1;
    size_t bytes = truth ? count : count * sizeof(int64_t);
    return make_tensor(session->ort, mask->data, bytes, shape, 2, truth ? ELEMENT_BOOL : ELEMENT_INT64, &values[1]);
}

/* An output of the graph, and where it goes; `rows` is NULL where it has none for the frames. */
struct wanted_output {
    const char *name;
    size_t width, *rows;
    struct buffer *values;
};

static size_t list_outputs(const struct heads *heads, struct outputs *outputs, struct wanted_output wanted[HEADS])
{
    struct wanted_output all[HEADS] = {
        {heads->ctc.output, heads->ctc.size, &outputs->frames, &outputs->logits},
        {heads->classes.output, heads->classes.size, NULL, &outputs->classes},
        {heads->frames.output, heads->frames.size, &outputs->label_frames, &outputs->labels},
        {heads->embedding.output, heads->embedding.size, NULL, &outputs->embedding},
    };
    size_t count = 0;
    for (int i = 0; i < HEADS; i++)
        if (all[i].name) wanted[count++] = all[i];
    return count;
}

/* Each head's output for a clip, padded with zeros if it gives no frame. */
static bool run_graph(const struct w2e_engine *engine, const float *samples, size_t count, struct graph_input *input,
                      struct outputs *outputs, w2e_error *error)
{
    static const char *const INPUTS[2] = {INPUT, MASK};
    const struct bundle *bundle = &engine->bundle;
    const struct session *session = &engine->session;
    if (getpid() != engine->process) return fail(error, MESSAGE_ENGINE_FORKED, NULL);
    size_t least = (size_t)bundle->geometry.receptive_field, padded = count < least ? least : count;
    float *clip = reserve(&input->samples, padded, sizeof *clip, error);
    if (!clip || (engine->variant->batched && !reserve(&input->mask, padded, sizeof(int64_t), error))) return false;
    if (count) memcpy(clip, samples, count * sizeof *clip);
    for (size_t i = count; i < padded; i++) clip[i] = 0;
    struct wanted_output wanted[HEADS];
    const char *names[HEADS];
    size_t count_wanted = list_outputs(&bundle->heads, outputs, wanted);
    for (size_t i = 0; i < count_wanted; i++) names[i] = wanted[i].name;
    OrtValue *inputs[2] = {NULL, NULL}, *found[HEADS] = {NULL, NULL, NULL, NULL};
    OrtStatus *status = make_inputs(engine, clip, padded, &input->mask, inputs);
    if (!status)
        status = session->ort->Run(session->handle, padded > LONG_SAMPLES ? session->shrinking : session->usual, INPUTS,
                                   (const OrtValue *const *)inputs, engine->variant->batched ? 2 : 1, names,
                                   count_wanted, found);
    struct reason reason = {""};
    if (status) reason = reason_of(session->ort, status);
    bool fine = !status;
    size_t rows, frames = (size_t)frames_of(&bundle->geometry, (int64_t)padded);
    for (size_t i = 0; fine && i < count_wanted; i++) {
        size_t most = wanted[i].rows ? frames : 1, *kept = wanted[i].rows ? wanted[i].rows : &rows;
        fine = take_output(session, found[i], wanted[i].width, most, wanted[i].values, kept, &reason, error);
    }
    for (int i = 0; i < 2; i++)
        if (inputs[i]) session->ort->ReleaseValue(inputs[i]);
    for (int i = 0; i < HEADS; i++)
        if (found[i]) session->ort->ReleaseValue(found[i]);
    if (!reason.text[0]) return fine;
    return fail(error, MESSAGE_DEVICE_FAILED, "device", "cpu", "duration", fixed((double)padded / RATE_HZ, 1).text,
                "reason", reason.text, NULL);
}

/* Voice activity --------------------------------------------------------------------------------------------------- */

/* How likely each frame holds speech: the log-likelihood ratio of speech against noise, averaged over bands (Sohn, Kim
 * and Sung, IEEE Signal Processing Letters 6, 1999), over a noise floor found by minimum statistics (Martin, IEEE
 * Transactions on Speech and Audio Processing 9, 2001). */

#define VAD_WINDOW 512
#define VAD_HOP 320
#define BANDS 16
#define BINS 256
#define LOWEST_BAND_HZ 200.0
#define HIGHEST_BAND_HZ 7000.0
#define GROUP 10            /* frames of a sub-window */
#define REACH 10            /* the floor is the minimum over so many sub-windows before and after its own */
#define LEVELLED 5          /* and is averaged over so many, so that it does not jump */
#define BIAS 1.5f           /* how far the mean of noise lies above the minimum of its smoothed power */
#define RANGE 1.9952623e-4f /* -37 dB: what lies further below the loudest frame around it counts as noise */
#define LOWEST_POWER 1e-8f  /* no floor is below the rounding of 16-bit samples */
#define STARTS_ABOVE 5.0f
#define ENDS_BELOW 0.0f

/* Tables of the short-time spectrum. */
struct spectrum {
    float window[VAD_WINDOW];
    float cosines[BINS], sines[BINS];
    uint16_t reversed[VAD_WINDOW];
    int edges[BANDS + 1]; /* the first bin of each band, evenly spaced in mel, and the end of the last */
};

static void make_spectrum(struct spectrum *spectrum)
{
    for (int i = 0; i < VAD_WINDOW; i++) {
        spectrum->window[i] = (float)(0.5 - 0.5 * cos(2 * PI * i / (VAD_WINDOW - 1)));
        int reversed = 0;
        for (int bit = 0; bit < 9; bit++) reversed |= (i >> bit & 1) << (8 - bit);
        spectrum->reversed[i] = (uint16_t)reversed;
    }
    for (int i = 0; i < BINS; i++) {
        spectrum->cosines[i] = (float)cos(2 * PI * i / VAD_WINDOW);
        spectrum->sines[i] = (float)-sin(2 * PI * i / VAD_WINDOW);
    }
    double lowest = 2595.0 * log10(1.0 + LOWEST_BAND_HZ / 700.0),
           highest = 2595.0 * log10(1.0 + HIGHEST_BAND_HZ / 700.0);
    for (int band = 0; band <= BANDS; band++) {
        double mel = lowest + (highest - lowest) * band / BANDS;
        double edge_hz = 700.0 * (pow(10.0, mel / 2595.0) - 1.0);
        spectrum->edges[band] = (int)nearbyint(edge_hz * VAD_WINDOW / RATE_HZ);
    }
}

/* Mean power density in each band of one window. */
static void band_powers(const struct spectrum *spectrum, const float *samples, float powers[BANDS])
{
    float real[VAD_WINDOW], imaginary[VAD_WINDOW];
    for (int i = 0; i < VAD_WINDOW; i++) {
        real[spectrum->reversed[i]] = samples[i] * spectrum->window[i];
        imaginary[i] = 0;
    }
    for (int half = 1; half < VAD_WINDOW; half *= 2) {
        for (int start = 0; start < VAD_WINDOW; start += 2 * half) {
            for (int k = 0; k < half; k++) {
                float c = spectrum->cosines[k * (BINS / half)], s = spectrum->sines[k * (BINS / half)];
                int low = start + k, high = low + half;
                float r = real[high] * c - imaginary[high] * s, i = real[high] * s + imaginary[high] * c;
                real[high] = real[low] - r;
                imaginary[high] = imaginary[low] - i;
                real[low] += r;
                imaginary[low] += i;
            }
        }
    }
    for (int band = 0; band < BANDS; band++) {
        float sum = 0;
        for (int bin = spectrum->edges[band]; bin < spectrum->edges[band + 1]; bin++)
            sum += (real[bin] * real[bin] + imaginary[bin] * imaginary[bin]) / VAD_WINDOW;
        powers[band] = sum / (float)(spectrum->edges[band + 1] - spectrum->edges[band]);
    }
}

static float mean_of(const float powers[BANDS])
{
    float sum = 0;
    for (int band = 0; band < BANDS; band++) sum += powers[band];
    return sum / BANDS;
}

/* The score of a frame in dB: -5 and less for most noise, 10 to 40 for speech. */
static float score_db(const float powers[BANDS], const float floor[BANDS])
{
    double sum = 0;
    for (int band = 0; band < BANDS; band++) {
        double ratio = (double)(powers[band] / floor[band]);
        if (ratio < 1) ratio = 1;
        sum += ratio - log(ratio) - 1;
    }
    return (float)(10 * log10(sum / BANDS + 1e-3));
}

/* Recordings ------------------------------------------------------------------------------------------------------ */

/* The noise floor of each sub-window of a whole recording: `[sub-windows, bands]`. `powers` are smoothed. */
static void noise_floors(const float *powers, size_t frames, float *quietest, float *loudest, float *levels,
                         float *floors)
{
    size_t groups = (frames + GROUP - 1) / GROUP;
    for (size_t frame = 0; frame < frames; frame++) {
        const float *row = powers + frame * BANDS;
        float *least = quietest + frame / GROUP * BANDS, *most = loudest + frame / GROUP, mean = mean_of(row);
        bool first = frame % GROUP == 0;
        for (int band = 0; band < BANDS; band++)
            if (first || row[band] < least[band]) least[band] = row[band];
        if (first || mean > *most) *most = mean;
    }
    for (size_t group = 0; group < groups; group++) {
        size_t begin = group < REACH ? 0 : group - REACH, end = group + REACH + 1 < groups ? group + REACH + 1 : groups;
        float most = 0;
        for (size_t near = begin; near < end; near++)
            if (loudest[near] > most) most = loudest[near];
        for (int band = 0; band < BANDS; band++) {
            float least = quietest[begin * BANDS + (size_t)band];
            for (size_t near = begin; near < end; near++)
                if (quietest[near * BANDS + (size_t)band] < least) least = quietest[near * BANDS + (size_t)band];
            float level = BIAS * least > RANGE * most ? BIAS * least : RANGE * most;
            levels[group * BANDS + (size_t)band] = level > LOWEST_POWER ? level : LOWEST_POWER;
        }
    }
    for (size_t group = 0; group < groups; group++) {
        for (int band = 0; band < BANDS; band++) {
            float sum = 0;
            for (int offset = -LEVELLED; offset <= LEVELLED; offset++) {
                int64_t near = (int64_t)group + offset,
                        last = (int64_t)groups - 1; /* the outermost ones are repeated */
                sum += levels[(near < 0 ? 0 : near > last ? last : near) * BANDS + band];
            }
            floors[group * BANDS + (size_t)band] = sum / (2 * LEVELLED + 1);
        }
    }
}

/* The score of each frame of a whole recording; NULL: there is no memory. The memory is the caller's to free. */
static float *score_recording(const float *samples, size_t count, size_t *frames, w2e_error *error)
{
    *frames = count < VAD_WINDOW ? count > 0 : (count - VAD_WINDOW) / VAD_HOP + 1;
    size_t groups = *frames / GROUP + 1, rows = *frames * 2 + groups * 4;
    struct spectrum *spectrum = allocate(1, sizeof *spectrum, error);
    float *scores = allocate(*frames, sizeof *scores, error), *powers = allocate(rows * BANDS, sizeof *powers, error);
    if (!spectrum || !scores || !powers) {
        W2E_FREE(spectrum);
        W2E_FREE(scores);
        W2E_FREE(powers);
        return NULL;
    }
    make_spectrum(spectrum);
    float *smoothed = powers + *frames * BANDS, *quietest = smoothed + *frames * BANDS;
    float *loudest = quietest + groups * BANDS, *levels = loudest + groups * BANDS, *floors = levels + groups * BANDS;
    for (size_t frame = 0; frame < *frames; frame++) {
        float window[VAD_WINDOW] = {0};
        size_t left = count - frame * VAD_HOP;
        memcpy(window, samples + frame * VAD_HOP, (left < VAD_WINDOW ? left : VAD_WINDOW) * sizeof *window);
        band_powers(spectrum, window, powers + frame * BANDS);
    }
    for (size_t frame = 0; frame < *frames; frame++) {
        size_t before = frame ? frame - 1 : 0, behind = frame + 1 < *frames ? frame + 1 : frame;
        for (size_t band = 0; band < BANDS; band++)
            smoothed[frame * BANDS + band] =
                (powers[before * BANDS + band] + powers[frame * BANDS + band] + powers[behind * BANDS + band]) / 3;
    }
    noise_floors(smoothed, *frames, quietest, loudest, levels, floors);
    for (size_t frame = 0; frame < *frames; frame++)
        scores[frame] = score_db(smoothed + frame * BANDS, floors + frame / GROUP * BANDS);
    W2E_FREE(powers);
    W2E_FREE(spectrum);
    return scores;
}

/* Where long recordings are cut into spans, none of them longer than the model takes well. */
#define OVERLAP_S 4.0
#define MIN_SILENCE 6400  /* samples: a shorter silence does not end a span */
#define MIN_SPEECH 2880   /* a sound with less that is surely speech, such as a click, is none */
#define SPAN_PADDING 1600 /* audio before and after the speech that goes with it */
#define SHORT_PAUSE 1280  /* may be in a word, and is a better place to cut than none */
#define SHORTEST_S 0.5    /* a shorter limit would cut words apart */
#define UNKNOWN_COMFORT_S 30.0

/* A stretch of a recording; so many of its first samples are also the last ones of the span before. */
struct span {
    int64_t start, end, overlap;
};

struct pause {
    int64_t start, end;
};

/* Speech that has not ended yet: where its span begins, up to where there is speech, and the silences inside it. */
struct region {
    bool open, continued;
    int64_t start, speech_end, sure, overlap;
    struct buffer pauses;
    size_t pause_count;
};

struct segmenter {
    int64_t longest, overlap, total, position, free_from;
    struct region region;
    struct buffer spans; /* struct span: all of the recording */
    size_t span_count;
};

static bool add_span(struct segmenter *segmenter, int64_t end, w2e_error *error)
{
    struct region *region = &segmenter->region;
    struct span *spans = reserve(&segmenter->spans, segmenter->span_count + 1, sizeof *spans, error);
    if (!spans) return false;
    if (end > segmenter->total) end = segmenter->total;
    spans[segmenter->span_count++] = (struct span){region->start, end, region->overlap};
    return true;
}

static const struct span *last_span(const struct segmenter *segmenter)
{
    return (const struct span *)segmenter->spans.data + segmenter->span_count - 1;
}

/* The end of speech: a span, unless it was a click. */
static bool close_region(struct segmenter *segmenter, w2e_error *error)
{
    struct region *region = &segmenter->region;
    region->open = false;
    if (!region->continued && region->sure < MIN_SPEECH) return true;
    if (!add_span(segmenter, region->speech_end + SPAN_PADDING, error)) return false;
    segmenter->free_from = last_span(segmenter)->end;
    return true;
}

/* The longest pause that begins after a position; of equal ones the last. */
static struct pause longest_pause(const struct region *region, int64_t after)
{
    struct pause best = {0, 0};
    const struct pause *pauses = region->pauses.data;
    for (size_t i = 0; i < region->pause_count; i++) {
        int64_t length = pauses[i].end - pauses[i].start;
        if (pauses[i].start >= after && length >= SHORT_PAUSE && length >= best.end - best.start) best = pauses[i];
    }
    return best;
}

/* What of the speech comes after a position is a region that goes on. */
static void continue_region(struct region *region, int64_t position, int64_t start, int64_t overlap)
{
    struct pause *pauses = region->pauses.data;
    size_t kept = 0;
    for (size_t i = 0; i < region->pause_count; i++)
        if (pauses[i].start >= position) pauses[kept++] = pauses[i];
    region->pause_count = kept;
    region->start = start;
    region->speech_end = position > region->speech_end ? position : region->speech_end;
    region->sure = 0;
    region->overlap = overlap;
    region->continued = true;
}

/* A span of speech that goes on: up to the longest short pause in its second half, or with an overlap. */
static bool cut_region(struct segmenter *segmenter, w2e_error *error)
{
    struct region *region = &segmenter->region;
    struct pause pause = longest_pause(region, region->start + segmenter->longest / 2);
    if (pause.end > pause.start) {
        int64_t padded = pause.start + SPAN_PADDING, middle = (pause.start + pause.end) / 2;
        if (!add_span(segmenter, padded < middle ? padded : middle, error)) return false;
        int64_t end = last_span(segmenter)->end, before = pause.end - SPAN_PADDING;
        segmenter->free_from = end;
        continue_region(region, pause.end, end > before ? end : before, 0);
        return true;
    }
    if (!add_span(segmenter, region->start + segmenter->longest, error)) return false;
    int64_t shared = last_span(segmenter)->end - segmenter->overlap;
    continue_region(region, shared, shared, segmenter->overlap);
    return true;
}

static bool add_speech(struct segmenter *segmenter, int64_t start, int64_t end, bool sure, w2e_error *error)
{
    struct region *region = &segmenter->region;
    if (start > region->speech_end) {
        struct pause *pauses = reserve(&region->pauses, region->pause_count + 1, sizeof *pauses, error);
        if (!pauses) return false;
        pauses[region->pause_count++] = (struct pause){region->speech_end, start};
    }
    region->speech_end = end;
    region->sure += sure ? end - start : 0;
    return true;
}

static bool follow_score(struct segmenter *segmenter, float score, w2e_error *error)
{
    struct region *region = &segmenter->region;
    int64_t here = segmenter->position;
    segmenter->position = here + VAD_HOP;
    if (!region->open) {
        if (score <= STARTS_ABOVE) return true;
        int64_t start = here - SPAN_PADDING > segmenter->free_from ? here - SPAN_PADDING : segmenter->free_from;
        *region = (struct region){
            .open = true, .start = start, .speech_end = segmenter->position, .sure = VAD_HOP, .pauses = region->pauses};
        return true;
    }
    if (score >= ENDS_BELOW) {
        if (!add_speech(segmenter, here, segmenter->position, score > STARTS_ABOVE, error)) return false;
    } else if (segmenter->position - region->speech_end >= MIN_SILENCE) {
        return close_region(segmenter, error);
    }
    return region->speech_end + SPAN_PADDING - region->start <= segmenter->longest || cut_region(segmenter, error);
}

static int64_t in_steps(double seconds, int64_t hop)
{
    int64_t steps = (int64_t)nearbyint(seconds * RATE_HZ / (double)hop);
    return (steps > 1 ? steps : 1) * hop;
}

/* Finds the spans of a recording with speech in them. */
static bool find_spans(struct segmenter *segmenter, const float *samples, size_t count, double longest_s, int64_t hop,
                       w2e_error *error)
{
    double overlap_s = longest_s / 4 < OVERLAP_S ? longest_s / 4 : OVERLAP_S;
    *segmenter = (struct segmenter){
        .longest = in_steps(longest_s, hop), .overlap = in_steps(overlap_s, hop), .total = (int64_t)count};
    size_t frames;
    float *scores = score_recording(samples, count, &frames, error);
    bool fine = scores;
    for (size_t i = 0; fine && i < frames; i++) fine = follow_score(segmenter, scores[i], error);
    if (fine && segmenter->region.open) fine = close_region(segmenter, error);
    W2E_FREE(scores);
    release(&segmenter->region.pauses);
    return fine;
}

/* Answering clips and recordings ---------------------------------------------------------------------------------- */

#define FAR_LONGER 2.0 /* a clip that is answered whole, and so many times as long as any in training, gets a warning */
#define BLOCK_FRAMES 262144

/* Sound that is to be recognised. */
struct recording {
    const char *name;
    w2e_pcm pcm;
    bool truncated;
    struct warnings warnings;
};

static double comfortable_s(const w2e_engine *engine)
{
    const struct bundle *bundle = &engine->bundle;
    if (engine->longest_segment_s > 0) return engine->longest_segment_s;
    if (bundle->longest_clip_s > 0) return bundle->longest_clip_s;
    return bundle->certified_up_to_s > 0 ? bundle->certified_up_to_s : UNKNOWN_COMFORT_S;
}

/* All of a recording as one clip at 16 kHz; NULL: it cannot be used. */
static const float *prepare_clip(w2e_engine *engine, struct recording *recording, size_t *count, w2e_error *error)
{
    const w2e_pcm *pcm = &recording->pcm;
    const char *name = recording->name;
    bool fine = true;
    if (recording->truncated)
        fine = fail(error, MESSAGE_WAV_TRUNCATED, "name", name, "seconds",
                    fixed((double)pcm->frames / pcm->rate_hz, 2).text, NULL);
    else if (!pcm->frames) fine = fail(error, MESSAGE_AUDIO_EMPTY, "name", name, NULL);
    float *mono = fine ? reserve(&engine->mono, pcm->frames, sizeof *mono, error) : NULL;
    struct mixdown mixdown = {0};
    if (!mono || !to_mono(&mixdown, name, pcm, 0, mono, error) || !warn_of_sound(&mixdown, &recording->warnings, error))
        return NULL;
    *count = pcm->frames;
    if (is_flat(mono, *count)) {
        fail(error, MESSAGE_AUDIO_SILENT, "name", name, "value", general((double)mono[0], 6).text, NULL);
        return NULL;
    }
    if (pcm->rate_hz == RATE_HZ) return mono;
    *count = 0;
    if (!open_resampler(&engine->resampler, pcm->rate_hz, error)
        || !resample(&engine->resampler, mono, pcm->frames, true, &engine->clip, count, error))
        return NULL;
    if (!*count)
        fail(error, MESSAGE_AUDIO_TOO_SHORT, "name", name, "samples", integer((int64_t)pcm->frames).text, "rate",
             integer(pcm->rate_hz).text, NULL);
    return *count ? engine->clip.data : NULL;
}

static bool warn_of_length(w2e_engine *engine, struct recording *recording, size_t samples, double duration_s,
                           w2e_error *error)
{
    const struct bundle *bundle = &engine->bundle;
    struct warnings *warnings = &recording->warnings;
    if ((int64_t)samples < bundle->geometry.receptive_field
        && !warn(warnings, error, MESSAGE_WARNING_SHORT, "milliseconds", fixed(duration_s * 1e3, 0).text, NULL))
        return false;
    bool trained = bundle->longest_clip_s > 0 && duration_s > FAR_LONGER * bundle->longest_clip_s;
    bool certified = bundle->certified_up_to_s > 0 && duration_s > bundle->certified_up_to_s;
    if (!trained && !certified) return true;
    double limit_s = trained ? bundle->longest_clip_s : bundle->certified_up_to_s;
    return warn(warnings, error, trained ? MESSAGE_WARNING_LONGER_THAN_TRAINING : MESSAGE_WARNING_LONGER_THAN_CERTIFIED,
                "duration", fixed(duration_s, 1).text, "limit", general(limit_s, 6).text, NULL);
}

/* Room for the answer to so many frames, so that the arena does not grow with what is said. */
static size_t answer_bytes(const struct bundle *bundle, size_t frames)
{
    size_t words =
        bundle->heads.ctc.output
            ? frames
                  * (sizeof(w2e_word) + 4 * (bundle->heads.ctc.longest_bytes + strlen(bundle->heads.ctc.separator) + 1))
            : 0;
    size_t numbers = bundle->heads.classes.size * sizeof(w2e_score) + bundle->heads.embedding.size * sizeof(float);
    return words + numbers + ARENA_BLOCK;
}

/* Makes what a call needs as large as a clip of so many samples asks for, so that the next one allocates nothing. What
 * is said in it has a part in beam search alone. */
static bool reserve_call(w2e_engine *engine, size_t samples, w2e_error *error)
{
    const struct bundle *bundle = &engine->bundle;
    const struct ctc_head *head = &bundle->heads.ctc;
    struct words *words = &engine->reader.reading.words;
    struct decoding *decoding = &engine->reader.decoding;
    size_t frames = (size_t)frames_of(&bundle->geometry, (int64_t)samples) + 1;
    return reserve(&engine->input.samples, samples, sizeof(float), error)
           && (!engine->variant->batched || reserve(&engine->input.mask, samples, sizeof(int64_t), error))
           && reserve(&engine->outputs.logits, frames * head->size, sizeof(float), error)
           && reserve(&words->items, frames, sizeof(struct word), error)
           && reserve(&words->texts, 2 * frames * (head->longest_bytes + strlen(head->separator) + 1), 1, error)
           && reserve(&decoding->tokens, frames, sizeof(struct token), error)
           && reserve_transcript(decoding, head, frames, error)
           && (engine->decoder.kind != BEAM || reserve_beam(decoding, engine->decoder.width, head->size, frames, error))
           && (engine->decoder.kind != GRAMMAR
               || reserve_grammar(decoding, &engine->decoder.grammar, head->size, frames, error));
}

/* Samples that the model needs; 0 for most, which answer to a single frame, made of silence if need be. */
static int64_t shortest_of(const struct bundle *bundle)
{
    int64_t fewest = bundle->heads.embedding.fewest_frames;
    return fewest > 1 ? bundle->geometry.receptive_field + (fewest - 1) * bundle->geometry.hop : 0;
}

/* A recording as one clip. */
static bool answer_whole(w2e_engine *engine, struct recording *recording, w2e_error *error)
{
    w2e_result *result = &engine->result;
    size_t count, first = 0, end;
    const float *samples = prepare_clip(engine, recording, &count, error);
    if (!samples || !reserve_call(engine, count, error)) return false;
    result->duration_s = (double)count / RATE_HZ;
    end = count;
    if (engine->bundle.trims_silence) leave_out_silence(samples, count, &first, &end);
    if ((int64_t)(end - first) < shortest_of(&engine->bundle))
        return fail(error, MESSAGE_AUDIO_TOO_SHORT_FOR_MODEL, "name", recording->name, "duration",
                    fixed((double)(end - first) / RATE_HZ, 2).text, "shortest",
                    fixed((double)shortest_of(&engine->bundle) / RATE_HZ, 2).text, NULL);
    if (!run_graph(engine, samples + first, end - first, &engine->input, &engine->outputs, error)
        || !warn_of_length(engine, recording, end - first, result->duration_s, error))
        return false;
    struct view view = view_of(&engine->outputs);
    double begins_s = (double)first / RATE_HZ;
    w2e_answer *answer = &result->answer;
    if (!read_outputs(&engine->reader, engine, &view, error)
        || !make_answer(answer, &engine->answers, engine, &engine->reader.reading, &engine->reader.reading.words,
                        begins_s, true, error))
        return false;
    answer->end_s = result->duration_s;
    return true;
}

/* A recording of any length as samples at 16 kHz: block by block checked and mixed down. */
static const float *prepare_recording(w2e_engine *engine, struct recording *recording, size_t *count, w2e_error *error)
{
    const w2e_pcm *pcm = &recording->pcm;
    bool resampled = pcm->rate_hz != RATE_HZ, flat = true;
    struct mixdown mixdown = {0};
    if (resampled && !open_resampler(&engine->resampler, pcm->rate_hz, error)) return NULL;
    *count = 0;
    for (size_t begun = 0; begun < pcm->frames; begun += BLOCK_FRAMES) {
        w2e_pcm block = *pcm;
        block.frames = pcm->frames - begun < BLOCK_FRAMES ? pcm->frames - begun : BLOCK_FRAMES;
        block.samples = (const unsigned char *)pcm->samples + begun * sample_bytes(pcm->format) * (size_t)pcm->channels;
        float *mono = resampled ? reserve(&engine->mono, block.frames, sizeof *mono, error)
                                : reserve(&engine->clip, pcm->frames, sizeof *mono, error);
        if (!mono) return NULL;
        if (!resampled) mono += begun;
        size_t following = pcm->frames - begun - block.frames;
        if (!to_mono(&mixdown, recording->name, &block, following, mono, error)) return NULL;
        flat = flat && is_flat(mono, block.frames);
        bool last = begun + block.frames == pcm->frames;
        if (!resampled) *count += block.frames;
        else if (!resample(&engine->resampler, mono, block.frames, last, &engine->clip, count, error)) return NULL;
    }
    if (!warn_of_sound(&mixdown, &recording->warnings, error)) return NULL;
    if (!flat) return engine->clip.data;
    fail(error, MESSAGE_AUDIO_SILENT_RECORDING, "name", recording->name, NULL);
    return NULL;
}

/* Whether no word is open at each frame of a path: the last token that is no blank was the delimiter. Goes on from the
 * frame before. */
static bool between_words(const struct ctc_head *head, const float *row, bool before)
{
    size_t id = best_of(row, head->size);
    return id == head->blank ? before : id == head->delimiter_id;
}

/* The frame of an overlap that the second piece begins with: in its middle half, surely blank, between words. */
static size_t find_seam(const struct ctc_head *head, const float *first, size_t ahead, const float *second,
                        size_t shared)
{
    size_t begin = shared / 4, end = shared - shared / 4 > begin + 1 ? shared - shared / 4 : begin + 1;
    size_t best = begin, best_between = SIZE_MAX;
    double most = -(double)INFINITY, most_between = -(double)INFINITY;
    bool between = false;
    for (size_t frame = 0; frame < ahead; frame++) between = between_words(head, first + frame * head->size, between);
    for (size_t frame = 0; frame < end; frame++) {
        const float *one = first + (ahead + frame) * head->size, *other = second + frame * head->size;
        between = between_words(head, one, between);
        if (frame < begin) continue;
        double blank =
            log_probability(one, head->size, head->blank, 1) + log_probability(other, head->size, head->blank, 1);
        if (blank > most) most = blank, best = frame;
        if (between && blank > most_between) most_between = blank, best_between = frame;
    }
    return best_between == SIZE_MAX ? best : best_between;
}

/* Parts two pieces that overlap: each is left without the other's side of the seam. */
static void part_pieces(const struct bundle *bundle, struct piece *first, struct piece *second)
{
    const struct ctc_head *head = &bundle->heads.ctc;
    const float *logits = (const float *)first->outputs.logits.data + first->first_frame * head->size;
    size_t ahead = (size_t)((second->start - first->start) / bundle->geometry.hop);
    size_t shared = first->frames > ahead ? first->frames - ahead : 0;
    if (shared > second->frames) shared = second->frames;
    if (!shared) return;
    size_t seam = find_seam(head, logits, ahead, second->outputs.logits.data, shared);
    first->frames = ahead + seam;
    first->end = second->start + (int64_t)seam * bundle->geometry.hop;
    second->start = first->end;
    second->first_frame = seam;
    second->frames -= seam;
}

static bool answer_piece(w2e_engine *engine, const struct piece *piece, w2e_answer *answer, w2e_error *error)
{
    struct reader *reader = &engine->reader;
    struct view view = view_of(&piece->outputs);
    if (view.logits) view.logits += piece->first_frame * engine->bundle.heads.ctc.size;
    view.frames = piece->frames;
    double start_s = (double)piece->start / RATE_HZ;
    if (!read_outputs(reader, engine, &view, error)
        || !make_answer(answer, &engine->answers, engine, &reader->reading, &reader->reading.words, start_s, true,
                        error))
        return false;
    answer->start_s = start_s;
    answer->end_s = (double)piece->end / RATE_HZ;
    return true;
}

/* Words of a text. */
static size_t count_words(const char *text)
{
    size_t count = 0;
    for (bool before = true; *text; before = is_space(*text), text++) count += before && !is_space(*text);
    return count;
}

/* Words and labels of frames of a recording: those of its segments one after the other. */
static bool join_lists(w2e_engine *engine, w2e_answer *answer, const w2e_answer *segments, size_t count,
                       w2e_error *error)
{
    size_t words = 0, labels = 0;
    bool has_words = false, has_labels = false;
    for (size_t i = 0; i < count; i++) {
        has_words = has_words || segments[i].words;
        has_labels = has_labels || segments[i].frame_labels;
        words += segments[i].word_count;
        labels += segments[i].frame_label_count;
    }
    w2e_word *word = has_words ? arena_take(&engine->answers, words, sizeof *word, error) : NULL;
    w2e_frame_label *label = has_labels ? arena_take(&engine->answers, labels, sizeof *label, error) : NULL;
    if ((has_words && !word) || (has_labels && !label)) return false;
    answer->words = word;
    answer->frame_labels = label;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < segments[i].word_count; k++) word[answer->word_count++] = segments[i].words[k];
        for (size_t k = 0; k < segments[i].frame_label_count; k++)
            label[answer->frame_label_count++] = segments[i].frame_labels[k];
    }
    return true;
}

/* The text of a recording: those of its segments one after the other. */
static bool join_texts(w2e_engine *engine, w2e_answer *answer, const w2e_answer *segments, size_t count,
                       w2e_error *error)
{
    size_t bytes = 1;
    bool has_text = !count;
    for (size_t i = 0; i < count; i++) {
        has_text = has_text || segments[i].text;
        bytes += segments[i].text ? strlen(segments[i].text) + 1 : 0;
    }
    if (!has_text) return true;
    char *text = arena_take(&engine->answers, bytes, 1, error);
    if (!text) return false;
    text[0] = 0;
    answer->text = text;
    for (size_t i = 0; i < count; i++) {
        if (!segments[i].text || !segments[i].text[0]) continue;
        if (answer->text[0]) *text++ = ' ';
        strcpy(text, segments[i].text);
        text += strlen(text);
    }
    return true;
}

/* Whether a segment counts: rejected ones do not, unless the recording is. */
static bool counts(const w2e_answer *recording, const w2e_answer *segment)
{
    return recording->rejected || !segment->rejected;
}

static double length_s(const w2e_answer *segment)
{
    return segment->end_s - segment->start_s;
}

/* The confidence of a recording: the mean over its segments, weighted by words. */
static void average_confidence(w2e_answer *answer, const w2e_answer *segments, size_t count)
{
    double weights = 0, confidence = 0;
    answer->rejected = count > 0;
    for (size_t i = 0; i < count; i++) answer->rejected = answer->rejected && segments[i].rejected;
    for (size_t i = 0; i < count; i++) {
        if (!counts(answer, &segments[i])) continue;
        size_t words = segments[i].text ? count_words(segments[i].text) : 0;
        double weight = words ? (double)words : length_s(&segments[i]);
        weights += weight;
        confidence += weight * segments[i].confidence;
    }
    answer->confidence = weights > 0 ? confidence / weights : 1;
}

/* Scores and embedding of a recording: the means over its segments, weighted by duration. */
static bool average_outputs(w2e_engine *engine, w2e_answer *answer, const w2e_answer *segments, size_t count,
                            w2e_error *error)
{
    const struct class_head *head = &engine->bundle.heads.classes;
    const struct embedding_head *embedding = &engine->bundle.heads.embedding;
    double total_s = 0;
    for (size_t i = 0; i < count; i++) total_s += counts(answer, &segments[i]) ? length_s(&segments[i]) : 0;
    if (!(total_s > 0)) return true;
    w2e_score *scores = arena_take(&engine->answers, head->size, sizeof *scores, error);
    float *numbers = arena_take(&engine->answers, embedding->size, sizeof *numbers, error);
    if (!scores || !numbers) return false;
    for (size_t k = 0; k < head->size + embedding->size; k++) {
        double sum = 0;
        for (size_t i = 0; i < count; i++) {
            if (!counts(answer, &segments[i])) continue;
            double value =
                k < head->size ? segments[i].scores[k].probability : (double)segments[i].embedding[k - head->size];
            sum += value * length_s(&segments[i]);
        }
        if (k < head->size) scores[k] = (w2e_score){head->labels[k], sum / total_s};
        else numbers[k - head->size] = (float)(sum / total_s);
    }
    if (embedding->output) answer->embedding = numbers, answer->embedding_size = embedding->size;
    if (!head->output) return true;
    size_t best = 0;
    for (size_t k = 0; k < head->size; k++)
        if (scores[k].probability > scores[best].probability) best = k;
    answer->scores = scores;
    answer->score_count = head->size;
    if (!answer->rejected) answer->label = head->labels[best];
    return true;
}

/* Leaves out spans that are too short for the model, with a warning. */
static bool leave_out_short(w2e_engine *engine, struct segmenter *segmenter, struct warnings *warnings,
                            w2e_error *error)
{
    struct span *spans = segmenter->spans.data;
    int64_t shortest = shortest_of(&engine->bundle);
    size_t kept = 0, all = segmenter->span_count;
    for (size_t i = 0; i < all; i++)
        if (spans[i].end - spans[i].start >= shortest) spans[kept++] = spans[i];
    segmenter->span_count = kept;
    return kept == all
           || warn(warnings, error, MESSAGE_WARNING_LEFT_OUT, "shortest", fixed((double)shortest / RATE_HZ, 2).text,
                   NULL);
}

/* Recognises the spans of a recording one after the other; of two that overlap each keeps its own side of a seam. */
static bool answer_spans(w2e_engine *engine, const struct segmenter *segmenter, const float *samples,
                         w2e_answer *segments, w2e_error *error)
{
    const struct span *spans = segmenter->spans.data;
    for (size_t i = 0; i <= segmenter->span_count; i++) {
        struct piece *piece = &engine->pieces[i % 2], *before = &engine->pieces[(i + 1) % 2];
        if (i < segmenter->span_count) {
            piece->start = spans[i].start;
            piece->end = spans[i].end;
            piece->first_frame = 0;
            size_t length = (size_t)(spans[i].end - spans[i].start);
            if (!run_graph(engine, samples + spans[i].start, length, &engine->input, &piece->outputs, error))
                return false;
            piece->frames = piece->outputs.frames;
            if (i && spans[i].overlap && engine->bundle.heads.ctc.output) part_pieces(&engine->bundle, before, piece);
        }
        if (i && !answer_piece(engine, before, &segments[i - 1], error)) return false;
    }
    return true;
}

static bool answer_in_segments(w2e_engine *engine, struct recording *recording, w2e_error *error)
{
    w2e_result *result = &engine->result;
    const w2e_pcm *pcm = &recording->pcm;
    size_t count;
    const float *samples = prepare_recording(engine, recording, &count, error);
    if (!samples) return false;
    double longest_s = comfortable_s(engine);
    struct segmenter segmenter;
    bool fine = find_spans(&segmenter, samples, count, longest_s > SHORTEST_S ? longest_s : SHORTEST_S,
                           engine->bundle.geometry.hop, error);
    fine = fine && leave_out_short(engine, &segmenter, &recording->warnings, error);
    w2e_answer *segments = fine ? arena_take(&engine->answers, segmenter.span_count, sizeof *segments, error) : NULL;
    fine = segments && answer_spans(engine, &segmenter, samples, segments, error)
           && join_texts(engine, &result->answer, segments, segmenter.span_count, error)
           && join_lists(engine, &result->answer, segments, segmenter.span_count, error);
    if (fine) average_confidence(&result->answer, segments, segmenter.span_count);
    fine = fine && average_outputs(engine, &result->answer, segments, segmenter.span_count, error);
    result->segments = segments;
    result->segment_count = segmenter.span_count;
    release(&segmenter.spans);
    result->duration_s = result->answer.end_s = (double)pcm->frames / pcm->rate_hz;
    if (fine && recording->truncated)
        fine = warn(&recording->warnings, error, MESSAGE_WARNING_TRUNCATED, "seconds",
                    fixed(result->duration_s, 2).text, NULL);
    if (fine && !result->segment_count) fine = warn(&recording->warnings, error, MESSAGE_WARNING_NO_SPEECH, NULL);
    return fine;
}

static const w2e_result *answer_recording(w2e_engine *engine, const char *name, const w2e_pcm *pcm, bool truncated,
                                          w2e_error *error)
{
    struct recording recording = {.name = name, .pcm = *pcm, .truncated = truncated};
    if (!check_shape(name, pcm, error) || !check_rate(name, pcm->rate_hz, error)) return NULL;
    double duration_s = (double)pcm->frames / pcm->rate_hz;
    size_t frames = (size_t)(duration_s / engine->bundle.geometry.frame_s) + 2;
    engine->result = (w2e_result){0};
    if (!arena_begin(&engine->answers, answer_bytes(&engine->bundle, frames), error)) return NULL;
    recording.warnings.arena = &engine->answers;
    bool fine = duration_s > comfortable_s(engine) ? answer_in_segments(engine, &recording, error)
                                                   : answer_whole(engine, &recording, error);
    struct warnings *warnings = &recording.warnings;
    const char **list = fine ? arena_take(&engine->answers, warnings->count, sizeof *list, error) : NULL;
    if (!list) return NULL;
    if (warnings->count) memcpy(list, warnings->items, warnings->count * sizeof *list);
    engine->result.warnings = list;
    engine->result.warning_count = warnings->count;
    return &engine->result;
}

const w2e_result *w2e_run_pcm(w2e_engine *engine, const w2e_pcm *pcm, w2e_error *error)
{
    return GIVEN(engine) && GIVEN(pcm) ? answer_recording(engine, "array", pcm, false, error) : NULL;
}

const w2e_result *w2e_run(w2e_engine *engine, const float *samples, size_t count, int rate_hz, w2e_error *error)
{
    w2e_pcm pcm = {samples, count, 1, W2E_F32, rate_hz};
    return w2e_run_pcm(engine, &pcm, error);
}

/* All of standard input. */
static bool read_input(struct buffer *content, size_t *size, w2e_error *error)
{
    *size = 0;
    for (ssize_t more = 1; more > 0; *size += (size_t)more) {
        char *bytes = reserve(content, *size + 65536, 1, error);
        if (!bytes) return false;
        more = read(STDIN_FILENO, bytes + *size, 65536);
        if (more < 0)
            return fail(error, MESSAGE_AUDIO_FILE_UNREADABLE, "name", "standard input", "reason", strerror(errno),
                        NULL);
    }
    return true;
}

const w2e_result *w2e_run_file(w2e_engine *engine, const char *path, w2e_error *error)
{
    w2e_pcm pcm;
    bool truncated;
    const w2e_result *result = NULL;
    if (!GIVEN(engine) || !GIVEN(path)) return NULL;
    if (strcmp(path, "-") == 0) {
        struct buffer content = {0};
        size_t size;
        if (read_input(&content, &size, error)
            && w2e_wav_read("standard input", content.data, size, &pcm, &truncated, error))
            result = answer_recording(engine, "standard input", &pcm, truncated, error);
        release(&content);
        return result;
    }
    struct mapped_file file;
    char *name = clean_path(path, "", error);
    if (!name) return NULL;
    if (!map_file(path, &file)) not_opened(name, error);
    else if (w2e_wav_read(name, file.bytes, file.size, &pcm, &truncated, error))
        result = answer_recording(engine, name, &pcm, truncated, error);
    unmap_file(&file);
    W2E_FREE(name);
    return result;
}

/* Graphs of streams ------------------------------------------------------------------------------------------------ */

/* A graph for chunks of one length; the streams of an engine share it. */
struct stream_session {
    struct stream_session *next;
    int64_t chunk_frames, block_samples;
    struct session session;
};

/* What one stream keeps between two chunks. It is bound to the session once: a state that the graph gives is written
 * where the last one was read, so that nothing is copied but what is new, and a call allocates nothing. */
struct stream_memory {
    const struct stream_session *graph;
    OrtIoBinding *binding;
    int64_t samples; /* of the block that are sound */
    float *block, *answers, *classes;
    size_t rows; /* of the answers: the chunk, and the frames that it looks ahead to */
    void **states;
    size_t *state_bytes, state_count;
};

static void close_stream_sessions(w2e_engine *engine)
{
    for (struct stream_session *each = engine->stream_sessions, *next; each; each = next) {
        next = each->next;
        if (each->session.ort) close_session(&each->session);
        W2E_FREE(each);
    }
    engine->stream_sessions = NULL;
}

/* The inputs and outputs of the graph must be those that the manifest describes. */
static bool check_stream_graph(const struct session *session, const struct bundle *bundle, w2e_error *error)
{
    const struct cached_streams *streams = &bundle->streams;
    const char *odd[4];
    size_t count = 0, known = 0;
    for (size_t i = 0; i < session->inputs.count; i++) {
        const char *name = session->inputs.items[i];
        bool wanted = strcmp(name, INPUT) == 0 || strcmp(name, "samples") == 0;
        for (size_t k = 0; k < streams->state_count; k++) wanted = wanted || strcmp(name, streams->states[k].name) == 0;
        known += wanted;
        if (!wanted && count < 4) odd[count++] = name;
    }
    char next[256];
    bool fine = !count && known == streams->state_count + 2;
    for (size_t i = 0; i < streams->state_count; i++) {
        snprintf(next, sizeof next, "next.%s", streams->states[i].name);
        bool there = has_name(&session->inputs, streams->states[i].name) && has_name(&session->outputs, next);
        if (!there && count < 4) odd[count++] = streams->states[i].name;
        fine = fine && there;
    }
    const char *heads[2] = {bundle->heads.ctc.output, bundle->heads.classes.output};
    for (int i = 0; i < 2; i++) {
        if (!heads[i] || has_name(&session->outputs, heads[i])) continue;
        if (count < 4) odd[count++] = heads[i];
        fine = false;
    }
    if (fine) return true;
    struct line names = {""};
    qsort(odd, count, sizeof *odd, compare_texts);
    for (size_t i = 0; i < count; i++) line_add(&names, ", ", odd[i]);
    return fail(error, MESSAGE_GRAPH_STREAM, "path", session->path, "names", names.text, NULL);
}

/* The graph for streams in the precision of the engine where the bundle has it, otherwise the first. */
static const char *stream_file(const w2e_engine *engine)
{
    const struct cached_streams *streams = &engine->bundle.streams;
    for (size_t i = 0; i < streams->file_count; i++)
        if (strcmp(streams->files[i].name, engine->variant->precision) == 0) return streams->files[i].file;
    return streams->files[0].file;
}

static int chunk_ms_of(const struct bundle *bundle, size_t place)
{
    return (int)nearbyint((double)bundle->streams.chunk_frames[place] * bundle->geometry.frame_s * 1e3);
}

/* Frames of a chunk by its length, the first of the manifest where it is 0; 0: the bundle is not certified for it. */
static int64_t choose_chunk(const struct bundle *bundle, int chunk_ms, w2e_error *error)
{
    struct line lengths = {""};
    for (size_t i = 0; i < bundle->streams.chunk_count; i++) {
        if (!chunk_ms || chunk_ms_of(bundle, i) == chunk_ms) return bundle->streams.chunk_frames[i];
        line_add(&lengths, ", ", integer(chunk_ms_of(bundle, i)).text);
    }
    fail(error, MESSAGE_STREAM_CHUNK, "folder", bundle->folder, "chunk", integer(chunk_ms).text, "chunks", lengths.text,
         NULL);
    return 0;
}

/* The session for chunks of a length, which is loaded once. */
static struct stream_session *open_stream_session(w2e_engine *engine, int chunk_ms, w2e_error *error)
{
    const struct bundle *bundle = &engine->bundle;
    int64_t frames = choose_chunk(bundle, chunk_ms, error);
    if (!frames) return NULL;
    for (struct stream_session *each = engine->stream_sessions; each; each = each->next)
        if (each->chunk_frames == frames) return each;
    struct stream_session *graph = allocate(1, sizeof *graph, error);
    if (!graph) return NULL;
    graph->chunk_frames = frames;
    int64_t ahead = frames + bundle->streams.look_ahead_frames - 1;
    graph->block_samples = bundle->geometry.hop * ahead + bundle->geometry.receptive_field;
    struct session_options options = engine->session_options;
    options.block_samples = graph->block_samples;
    if (open_session(&graph->session, &engine->ort, bundle, stream_file(engine), engine->verify, &options, error)
        && check_stream_graph(&graph->session, bundle, error)) {
        graph->next = engine->stream_sessions;
        engine->stream_sessions = graph;
        return graph;
    }
    if (graph->session.ort) close_session(&graph->session);
    W2E_FREE(graph);
    return NULL;
}

static void close_memory(struct stream_memory *memory)
{
    if (memory->binding) memory->graph->session.ort->ReleaseIoBinding(memory->binding);
    for (size_t i = 0; memory->states && i < memory->state_count; i++) W2E_FREE(memory->states[i]);
    W2E_FREE(memory->states);
    W2E_FREE(memory->state_bytes);
    W2E_FREE(memory->block);
    W2E_FREE(memory->answers);
    W2E_FREE(memory->classes);
    *memory = (struct stream_memory){0};
}

/* Binds memory to an input, an output, or both. */
static OrtStatus *bind(struct stream_memory *memory, const char *input, const char *output, void *data, size_t bytes,
                       const int64_t *shape, int rank, int type)
{
    const struct ort *ort = memory->graph->session.ort;
    OrtValue *value = NULL;
    OrtStatus *status = make_tensor(ort, data, bytes, shape, (size_t)rank, type, &value);
    if (!status && input) status = ort->BindInput(memory->binding, input, value);
    if (!status && output) status = ort->BindOutput(memory->binding, output, value);
    if (value) ort->ReleaseValue(value);
    return status;
}

static OrtStatus *bind_state(struct stream_memory *memory, const struct stream_state *state, size_t place,
                             w2e_error *error)
{
    bool single = strcmp(state->type, "float32") == 0, is_double = strcmp(state->type, "float64") == 0;
    size_t bytes = single ? 4 : 8;
    for (int i = 0; i < state->rank; i++) bytes *= (size_t)state->shape[i];
    memory->states[place] = allocate(bytes, 1, error);
    memory->state_bytes[place] = bytes;
    if (!memory->states[place]) return NULL;
    char next[256];
    snprintf(next, sizeof next, "next.%s", state->name);
    int type = single ? ELEMENT_FLOAT : is_double ? ELEMENT_DOUBLE : ELEMENT_INT64;
    return bind(memory, state->name, next, memory->states[place], bytes, state->shape, state->rank, type);
}

static OrtStatus *bind_outputs(struct stream_memory *memory, const struct bundle *bundle, w2e_error *error)
{
    OrtStatus *status = NULL;
    if (bundle->heads.ctc.output) {
        size_t count = memory->rows * bundle->heads.ctc.size;
        int64_t shape[3] = {1, (int64_t)memory->rows, (int64_t)bundle->heads.ctc.size};
        memory->answers = allocate(count, sizeof *memory->answers, error);
        if (!memory->answers) return NULL;
        status = bind(memory, NULL, bundle->heads.ctc.output, memory->answers, count * sizeof(float), shape, 3,
                      ELEMENT_FLOAT);
    }
    if (!status && bundle->heads.classes.output) {
        int64_t shape[2] = {1, (int64_t)bundle->heads.classes.size};
        memory->classes = allocate(bundle->heads.classes.size, sizeof *memory->classes, error);
        if (!memory->classes) return NULL;
        size_t bytes = bundle->heads.classes.size * sizeof(float);
        status = bind(memory, NULL, bundle->heads.classes.output, memory->classes, bytes, shape, 2, ELEMENT_FLOAT);
    }
    return status;
}

/* The memory of a stream that begins. */
static bool open_memory(struct stream_memory *memory, const struct stream_session *graph, const struct bundle *bundle,
                        w2e_error *error)
{
    const struct cached_streams *streams = &bundle->streams;
    const struct ort *ort = graph->session.ort;
    *memory = (struct stream_memory){.graph = graph, .state_count = streams->state_count};
    memory->rows = (size_t)(graph->chunk_frames + streams->look_ahead_frames);
    memory->block = allocate((size_t)graph->block_samples, sizeof *memory->block, error);
    memory->states = allocate(streams->state_count, sizeof *memory->states, error);
    memory->state_bytes = allocate(streams->state_count, sizeof *memory->state_bytes, error);
    if (!memory->block || !memory->states || !memory->state_bytes) return false;
    w2e_error none = {.code = 0};
    int64_t one = 1, shape[2] = {1, graph->block_samples};
    size_t bytes = (size_t)graph->block_samples * sizeof(float);
    OrtStatus *status = ort->CreateIoBinding(graph->session.handle, &memory->binding);
    if (!status) status = bind(memory, INPUT, NULL, memory->block, bytes, shape, 2, ELEMENT_FLOAT);
    if (!status)
        status = bind(memory, "samples", NULL, &memory->samples, sizeof memory->samples, &one, 1, ELEMENT_INT64);
    for (size_t i = 0; !status && !none.code && i < streams->state_count; i++)
        status = bind_state(memory, &streams->states[i], i, &none);
    if (!status && !none.code) status = bind_outputs(memory, bundle, &none);
    if (status) return fail(error, MESSAGE_DEVICE_FAILED_CHUNK, "reason", reason_of(ort, status).text, NULL);
    if (none.code && error) *error = none;
    return !none.code;
}

static void clear_memory(struct stream_memory *memory)
{
    for (size_t i = 0; i < memory->state_count; i++) memset(memory->states[i], 0, memory->state_bytes[i]);
}

/* Recognises the block of the memory, of which so many samples are sound. */
static bool run_chunk(struct stream_memory *memory, size_t samples, w2e_error *error)
{
    const struct session *session = &memory->graph->session;
    memory->samples = (int64_t)samples;
    OrtStatus *status = session->ort->RunWithBinding(session->handle, session->usual, memory->binding);
    return !status || fail(error, MESSAGE_DEVICE_FAILED_CHUNK, "reason", reason_of(session->ort, status).text, NULL);
}

/* Opening and verifying -------------------------------------------------------------------------------------------- */

#define MOST_THREADS 4096 /* ONNX Runtime starts as many as it is told, for minutes where there are 100000 */

w2e_options w2e_default_options(void)
{
    return (w2e_options){.verify = true};
}

const char *w2e_variant(const w2e_engine *engine)
{
    return engine ? engine->variant->name : "";
}

const char *w2e_runtime_version(const w2e_engine *engine)
{
    return engine ? engine->ort.version : "";
}

/* The decoder that the options name, or that of the bundle. */
static bool open_decoder(w2e_engine *engine, const char *described, w2e_error *error)
{
    const struct ctc_head *head = &engine->bundle.heads.ctc;
    if (described && strcmp(described, "greedy") == 0) return true;
    if (described) {
        struct json_document document;
        char reason[96];
        if (!json_read(&document, described, strlen(described), reason, error))
            return reason[0] && fail(error, MESSAGE_DECODER_NOT_JSON, "got", described, "reason", reason, NULL);
        bool fine = read_decoder(&engine->decoder, document.root, head, error);
        json_free(&document);
        return fine;
    }
    const struct json *stored = json_member(engine->bundle.manifest.root, "decoder");
    w2e_error reason = {.code = 0};
    if (!stored || read_decoder(&engine->decoder, stored, head, &reason)) return true;
    return fail(error, MESSAGE_DECODER_DAMAGED, "folder", engine->bundle.folder, "reason", reason.message, NULL);
}

static bool check_options(const w2e_options *options, w2e_error *error)
{
    if (options->threads < 0) return fail(error, MESSAGE_THREADS, "threads", integer(options->threads).text, NULL);
    if (options->threads > MOST_THREADS)
        return fail(error, MESSAGE_THREADS_MOST, "threads", integer(options->threads).text, "most",
                    integer(MOST_THREADS).text, NULL);
    if (!(options->reject_below >= 0 && options->reject_below <= 1))
        return fail(error, MESSAGE_REJECT_BELOW, "confidence", shown(options->reject_below).text, NULL);
    if (options->longest_segment_s != 0 && !(options->longest_segment_s >= SHORTEST_S))
        return fail(error, MESSAGE_SEGMENTATION_LONGEST, "option", "longest_segment_s", "value",
                    shown(options->longest_segment_s).text, NULL);
    return true;
}

/* From here on the bundle has the heads of a variant. */
static bool use_heads(struct bundle *bundle, const struct variant *variant, w2e_error *error)
{
    struct manifest_reader reader = {bundle, &bundle->heads, error};
    return !variant->heads || read_heads(&reader, variant->heads);
}

static bool open_graph(w2e_engine *engine, w2e_error *error)
{
    const struct bundle *bundle = &engine->bundle;
    const struct variant *variant = engine->variant;
    if (!open_session(&engine->session, &engine->ort, bundle, variant->file, engine->verify, &engine->session_options,
                      error)
        || !check_inputs(&engine->session, variant->batched, error))
        return false;
    struct wanted_output wanted[HEADS];
    size_t count = list_outputs(&bundle->heads, &engine->outputs, wanted);
    for (size_t i = 0; i < count; i++)
        if (!check_output(&engine->session, wanted[i].name, wanted[i].width, error)) return false;
    size_t length = strlen(engine->session.path) + sizeof " on cpu";
    engine->description = allocate(length, 1, error);
    if (engine->description) snprintf(engine->description, length, "%s on cpu", engine->session.path);
    return engine->description;
}

w2e_engine *w2e_open(const char *folder, const w2e_options *chosen, w2e_error *error)
{
    w2e_options options = chosen ? *chosen : w2e_default_options();
    if (!GIVEN(folder) || !check_options(&options, error)) return NULL;
    w2e_engine *engine = allocate(1, sizeof *engine, error);
    if (!engine) return NULL;
    engine->process = getpid();
    engine->verify = options.verify;
    engine->reject_below = options.reject_below;
    engine->longest_segment_s = options.longest_segment_s;
    engine->session_options = (struct session_options){.threads = options.threads, .spinning = options.spinning};
    bool fine = open_bundle(&engine->bundle, folder, error)
                && (engine->variant = choose_variant(&engine->bundle, options.variant, options.language, error)) != NULL
                && use_heads(&engine->bundle, engine->variant, error)
                && open_runtime(&engine->ort, options.ort_library, error) && open_graph(engine, error)
                && open_decoder(engine, options.decoder, error);
    engine->word_times = !engine->bundle.hides_word_times;
    if (fine) return engine;
    w2e_close(engine);
    return NULL;
}

void w2e_close(w2e_engine *engine)
{
    if (!engine) return;
    close_stream_sessions(engine);
    if (engine->session.ort) close_session(&engine->session);
    release_decoder(&engine->decoder);
    release_reader(&engine->reader);
    release_outputs(&engine->outputs);
    for (int i = 0; i < 2; i++) release_outputs(&engine->pieces[i].outputs);
    release(&engine->input.samples);
    release(&engine->input.mask);
    release(&engine->mono);
    release(&engine->clip);
    close_resampler(&engine->resampler);
    arena_free(&engine->answers);
    W2E_FREE(engine->description);
    close_bundle(&engine->bundle);
    if (engine->ort.version) close_runtime(&engine->ort);
    W2E_FREE(engine);
}

/* A JSON file of the bundle, after checking its digest. */
static bool read_listed_json(const struct bundle *bundle, const char *name, struct json_document *document,
                             w2e_error *error)
{
    struct mapped_file file;
    char reason[96] = "";
    *document = (struct json_document){0};
    if (!map_listed(bundle, name, true, &file, error)) return false;
    bool fine = json_read(document, file.bytes, file.size, reason, error);
    unmap_file(&file);
    return fine || !reason[0] || fail(error, MESSAGE_MANIFEST_NOT_JSON, "path", name, "reason", reason, NULL);
}

/* The golden input at 16 kHz. */
static float *golden_samples(const struct json *golden, size_t *count, w2e_error *error)
{
    const struct json *pcm = json_member(golden, "pcm_int16");
    *count = 0;
    float *samples = allocate(pcm ? pcm->count : 0, sizeof *samples, error);
    for (const struct json *each = samples && pcm ? pcm->first : NULL; each; each = each->next)
        samples[(*count)++] = (float)each->number / 32768;
    return samples;
}

/* The largest difference of an output from the expected one, relative to the largest of that; infinite: its shape is
 * another. */
static double relative_error(const struct json *expected, const float *found, size_t count)
{
    double difference = 0, largest = 0;
    size_t place = 0;
    for (const struct json *row = expected ? expected->first : NULL; row; row = row->next) {
        bool nested = row->type == JSON_ARRAY;
        for (const struct json *each = nested ? row->first : row; each; each = nested ? each->next : NULL, place++) {
            if (place >= count) return (double)INFINITY;
            difference = fmax(difference, fabs((double)found[place] - each->number));
            largest = fmax(largest, fabs(each->number));
        }
    }
    return place == count && largest > 0 ? difference / largest : (double)INFINITY;
}

/* Compares outputs with an entry of the golden file. */
static double golden_difference(const struct heads *heads, const struct json *entry, const struct view *view)
{
    const struct json *outputs = json_member(entry, "outputs");
    const struct {
        const char *name;
        const float *values;
        size_t count;
    } FOUND[HEADS] = {
        {heads->ctc.output, view->logits, view->frames * heads->ctc.size},
        {heads->classes.output, view->classes, heads->classes.size},
        {heads->frames.output, view->labels, view->label_frames * heads->frames.size},
        {heads->embedding.output, view->embedding, heads->embedding.size},
    };
    double difference = 0;
    for (int i = 0; i < HEADS; i++)
        if (FOUND[i].name)
            difference =
                fmax(difference, relative_error(json_member(outputs, FOUND[i].name), FOUND[i].values, FOUND[i].count));
    return difference;
}

/* Runs the golden input through the engine, and reads its outputs by the best token of each frame. */
static bool test_golden(w2e_engine *engine, const struct json *golden, const struct json *entry, w2e_error *error)
{
    struct outputs *outputs = &engine->outputs;
    w2e_self_test *test = &engine->self_test;
    size_t count;
    float *samples = golden_samples(golden, &count, error);
    bool fine = samples && run_graph(engine, samples, count, &engine->input, outputs, error);
    W2E_FREE(samples);
    if (!fine) return false;
    enum decoder_kind kind = engine->decoder.kind;
    double reject_below = engine->reject_below;
    w2e_answer answer;
    struct view view = view_of(outputs);
    engine->decoder.kind = GREEDY;
    engine->reject_below = 0;
    fine = arena_begin(&engine->answers, answer_bytes(&engine->bundle, outputs->frames), error)
           && read_outputs(&engine->reader, engine, &view, error)
           && make_answer(&answer, &engine->answers, engine, &engine->reader.reading, &engine->reader.reading.words, 0,
                          false, error);
    engine->decoder.kind = kind;
    engine->reject_below = reject_below;
    if (!fine) return false;
    const struct json *tolerance = json_member(entry, "tolerance");
    *test = (w2e_self_test){.variant = engine->variant->name, .text = answer.text, .label = answer.label};
    test->tolerance = tolerance ? tolerance->number : 0;
    test->difference = golden_difference(&engine->bundle.heads, entry, &view);
    test->passed = test->difference <= test->tolerance;
    return true;
}

const w2e_self_test *w2e_run_self_test(w2e_engine *engine, w2e_error *error)
{
    struct json_document golden;
    if (!GIVEN(engine) || !read_listed_json(&engine->bundle, "golden.json", &golden, error)) return NULL;
    const struct json *entry = json_member(json_member(golden.root, "variants"), engine->variant->name);
    bool fine = entry ? test_golden(engine, golden.root, entry, error)
                      : fail(error, MESSAGE_GOLDEN_NONE, "folder", engine->bundle.folder, "variant",
                             engine->variant->name, NULL);
    json_free(&golden);
    return fine ? &engine->self_test : NULL;
}

/* Utterances ------------------------------------------------------------------------------------------------------- */

#define LONGEST_CLOCK_S 1e9  /* 32 years: a stream counts its samples in 64 bits */
#define CACHED_SETTLED_S 0.3 /* what a chunk says of a word hardly changes after so much more sound */
#define WINDOWED_SETTLED_S 0.8

enum stream_kind { WINDOWED, CACHED, TWO_PASS };

/* One utterance, recognised anew after every step of sound. Where recognising takes longer than half a step, steps are
 * left out: a live stream must not fall behind. Those that decide are not, or what is final would depend on the load of
 * the machine. They lie further apart the longer the utterance is, so that only a machine that needs a sixteenth of
 * its length to recognise it has them later. */
struct windowed {
    int64_t step, next, due; /* the samples of a step, and at the next answer and the next one that decides */
    struct buffer sound;
    size_t count, heard;
    bool decides;
};

/* Brings the sound of utterances to a level that chunks are recognised at: speech below the one root mean square to the
 * other, and what is more than a share of that level of a constant offset is taken away. A whole clip is normalised by
 * its own mean and variance; chunks by those of what was heard so far, as if a second of sound at a usual level had come
 * before it, beside which speech from a microphone that is far too quiet stays quiet. */
#define QUIET_RMS 0.015
#define USUAL_RMS 0.035
#define LARGEST_OFFSET 0.05
#define ONSET_FRAME 320     /* 20 ms; the loudest of them by which speech is found */
#define ONSET_TO_SPEECH 1.6 /* and how much louder the whole utterance is: the median */

struct speech_level {
    float offset, gain;
    double count, sum, squares; /* of the samples of the utterance so far */
};

/* One utterance, recognised chunk by chunk. A chunk that looks ahead also answers to the frames that it looks ahead to,
 * as if the sound ended there: these are the latest answers until the next chunk computes the same frames once more. */
struct cached {
    struct stream_memory memory;
    struct speech_level level;
    int64_t origin;
    size_t count;                /* samples that wait in the block of the memory */
    int64_t frames, provisional; /* that were answered, and that were answered early */
    int64_t computed;            /* what their answers are read from, and more of it */
    struct buffer answers;       /* float [frames + provisional, vocabulary] */
    bool pooled;                 /* the memory has class scores */
    float *no_classes;           /* zeros, as long as it has none */
};

/* The sound of a cached utterance, which is recognised once more as a whole when it has ended (Zhang et al., "Unified
 * Streaming and Non-streaming Two-pass End-to-end Model", arXiv:2012.05481). */
struct second_pass {
    struct buffer sound;
    size_t count;
    int64_t begins, end;
    bool done;
};

/* Sound from one sample of a stream on, and the outputs of the model for it so far. */
struct utterance {
    enum stream_kind kind;
    bool open;
    int64_t start;
    struct windowed windowed;
    struct cached cached;
    struct second_pass second;
    struct outputs whole;
    struct graph_input input;
    double (*clock_s)(void *);
    void *clock_context;
};

static void release_utterance(struct utterance *utterance)
{
    release(&utterance->windowed.sound);
    if (utterance->cached.memory.graph) close_memory(&utterance->cached.memory);
    release(&utterance->cached.answers);
    W2E_FREE(utterance->cached.no_classes);
    release(&utterance->second.sound);
    release_outputs(&utterance->whole);
    release(&utterance->input.samples);
    release(&utterance->input.mask);
}

/* Mean square of the loudest of the frames that end with the samples. */
static double loudest_power(const float *samples, size_t count, double mean)
{
    double most = 0;
    for (size_t end = count; end >= ONSET_FRAME; end -= ONSET_FRAME) {
        double power = 0;
        for (size_t i = end - ONSET_FRAME; i < end; i++) power += (samples[i] - mean) * (samples[i] - mean);
        most = fmax(most, power / ONSET_FRAME);
    }
    return most;
}

/* Whether graphs bring the sound to zero mean and unit variance, of all that a stream has heard so far. A model that does
 * not takes it at whatever level it has. */
static bool normalizes(const struct cached_streams *streams)
{
    bool found = false;
    for (size_t i = 0; i < streams->state_count; i++) found |= strcmp(streams->states[i].name, "statistics") == 0;
    return found;
}

/* Chooses what is done to the next utterance, by the one before it and by those of its samples that are known, up to
 * where it was found to be speech. */
static void begin_level(struct speech_level *level, const float *onset, size_t count)
{
    double before = fmax(1, level->count), mean = level->sum / before;
    double rms = sqrt(fmax(0, level->squares / before - mean * mean));
    if (count >= ONSET_FRAME) {
        mean = 0;
        for (size_t i = 0; i < count; i++) mean += onset[i];
        mean /= (double)count;
        rms = fmax(rms, ONSET_TO_SPEECH * sqrt(loudest_power(onset, count, mean)));
    }
    level->offset = fabs(mean) > LARGEST_OFFSET * rms ? (float)mean : 0;
    level->gain = rms > 0 && rms < QUIET_RMS ? (float)(USUAL_RMS / rms) : 1;
    level->count = level->sum = level->squares = 0;
}

/* Adds sound to the block of the next chunk; NULL is silence. */
static void add_to_block(struct cached *cached, const float *samples, size_t count)
{
    struct speech_level *level = &cached->level;
    float *block = cached->memory.block + cached->count;
    for (size_t i = 0; i < count; i++) {
        double sample = samples ? samples[i] : 0;
        block[i] = samples ? (samples[i] - level->offset) * level->gain : 0;
        level->sum += sample;
        level->squares += sample * sample;
    }
    if (samples) level->count += (double)count;
    cached->count += count;
}

/* The end of the first step that is so many samples or more after the latest answer. */
static int64_t later_step(const struct windowed *windowed, int64_t samples)
{
    int64_t steps = samples > windowed->step ? (samples - 1) / windowed->step + 1 : 1;
    return (int64_t)windowed->heard + steps * windowed->step;
}

static void begin_utterance(struct utterance *utterance, int64_t start)
{
    struct cached *cached = &utterance->cached;
    utterance->open = true;
    utterance->start = start;
    utterance->windowed.next = utterance->windowed.step;
    utterance->windowed.count = utterance->windowed.heard = 0;
    utterance->windowed.due = later_step(&utterance->windowed, (int64_t)(WINDOWED_SETTLED_S * RATE_HZ));
    utterance->second.count = 0;
    utterance->second.begins = utterance->second.end = start;
    utterance->second.done = false;
    utterance->whole.frames = 0;
    if (utterance->kind == WINDOWED) return;
    cached->origin = start;
    cached->count = 0;
    cached->frames = cached->provisional = cached->computed = 0;
    cached->pooled = false;
    clear_memory(&cached->memory);
}

/* Adds sound to a buffer. */
static bool add_sound(struct buffer *buffer, size_t *count, const float *samples, size_t more, w2e_error *error)
{
    float *sound = reserve(buffer, *count + more, sizeof *sound, error);
    if (!sound) return false;
    if (more) memcpy(sound + *count, samples, more * sizeof *sound);
    *count += more;
    return true;
}

/* Leaves out the first samples of a buffer. */
static void drop_sound(struct buffer *buffer, size_t *count, int64_t unneeded)
{
    size_t dropped = unneeded < 0 ? 0 : (size_t)unneeded < *count ? (size_t)unneeded : *count;
    float *sound = buffer->data;
    *count -= dropped;
    if (dropped && *count) memmove(sound, sound + dropped, *count * sizeof *sound);
}

static bool recognise_window(struct utterance *utterance, const w2e_engine *engine, size_t samples, w2e_error *error)
{
    struct windowed *windowed = &utterance->windowed;
    double begun_s = utterance->clock_s(utterance->clock_context);
    if (!reserve(&windowed->sound, 1, sizeof(float), error)
        || !run_graph(engine, windowed->sound.data, samples < windowed->count ? samples : windowed->count,
                      &utterance->input, &utterance->whole, error))
        return false;
    double spent_s = utterance->clock_s(utterance->clock_context) - begun_s;
    int64_t twice = 2 * (int64_t)nearbyint(spent_s * RATE_HZ);
    windowed->heard = samples;
    windowed->decides = (int64_t)samples == windowed->due;
    windowed->next = later_step(windowed, twice);
    int64_t settled = (int64_t)(WINDOWED_SETTLED_S * RATE_HZ), length = (int64_t)samples;
    if (windowed->decides) windowed->due = later_step(windowed, (length > settled ? length : settled) / 8);
    if (windowed->decides && windowed->due < windowed->next) windowed->due = windowed->next;
    if (windowed->next > windowed->due) windowed->next = windowed->due;
    return true;
}

/* Whether there are outputs at this sample whatever the load of the machine: only such decide where an utterance ends,
 * and which of its words are stable. */
static bool decides(const struct utterance *utterance)
{
    return utterance->kind != WINDOWED || utterance->windowed.decides;
}

/* There is something to decide once it is so long: it will have outputs for it then. */
static void decide_by(struct utterance *utterance, double length_s)
{
    struct windowed *windowed = &utterance->windowed;
    if (utterance->kind != WINDOWED) return;
    int64_t samples = (int64_t)nearbyint(fmin(length_s * RATE_HZ, (double)windowed->due));
    windowed->due = later_step(windowed, samples - (int64_t)windowed->heard);
    if (windowed->next > windowed->due) windowed->next = windowed->due;
}

/* Computes the next chunk, of which so many frames are new. */
static bool recognise_chunk(struct utterance *utterance, const w2e_engine *engine, int64_t frames, w2e_error *error)
{
    const struct bundle *bundle = &engine->bundle;
    struct cached *cached = &utterance->cached;
    struct stream_memory *memory = &cached->memory;
    size_t block = (size_t)memory->graph->block_samples, size = bundle->heads.ctc.size;
    for (size_t i = cached->count; i < block; i++) memory->block[i] = 0;
    if (getpid() != engine->process) return fail(error, MESSAGE_ENGINE_FORKED, NULL);
    if (!run_chunk(memory, cached->count, error)) return false;
    int64_t delay = bundle->streams.delay_frames;
    int64_t unanswered = delay > cached->computed ? delay - cached->computed : 0;
    int64_t early = frames < unanswered ? frames : unanswered,
            known = frames_of(&bundle->geometry, (int64_t)cached->count);
    if (bundle->heads.ctc.output) {
        int64_t rows = (int64_t)memory->rows, first = frames > unanswered ? frames : unanswered;
        if (known > rows) known = rows;
        cached->provisional = known > first ? known - first : 0;
        size_t kept = (size_t)(cached->frames + frames - early), more = (size_t)cached->provisional;
        float *answers = reserve(&cached->answers, (kept + more) * size + 1, sizeof *answers, error);
        if (!answers) return false;
        size_t fresh = (size_t)(frames - early);
        memcpy(answers + (size_t)cached->frames * size, memory->answers + (size_t)early * size,
               fresh * size * sizeof *answers);
        memcpy(answers + kept * size, memory->answers + (size_t)first * size, more * size * sizeof *answers);
    }
    cached->pooled = true;
    cached->computed += frames;
    cached->frames += frames - early;
    int64_t advance = bundle->geometry.hop * memory->graph->chunk_frames;
    drop_sound(&(struct buffer){memory->block, 0}, &cached->count, advance);
    return true;
}

/* The sample of the stream after the last that was given. */
static int64_t taken_by(const struct utterance *utterance, const w2e_engine *engine)
{
    const struct cached *cached = &utterance->cached;
    if (utterance->kind == WINDOWED) return utterance->start + (int64_t)utterance->windowed.count;
    return cached->origin + cached->computed * engine->bundle.geometry.hop + (int64_t)cached->count;
}

/* The sample of the stream up to which the outputs reach. */
static int64_t heard_by(const struct utterance *utterance, const w2e_engine *engine)
{
    const struct cached *cached = &utterance->cached;
    if (utterance->kind == WINDOWED) return utterance->start + (int64_t)utterance->windowed.heard;
    if (utterance->second.done) return utterance->second.end;
    return utterance->start + (cached->frames + cached->provisional) * engine->bundle.geometry.hop;
}

/* Each head's output so far. */
static struct view outputs_of(const struct utterance *utterance)
{
    const struct cached *cached = &utterance->cached;
    const struct outputs *whole = &utterance->whole;
    if (utterance->kind == WINDOWED || utterance->second.done) return view_of(whole);
    const float *classes = cached->pooled ? cached->memory.classes : cached->no_classes;
    return (struct view){
        .logits = cached->answers.data, .classes = classes, .frames = (size_t)(cached->frames + cached->provisional)};
}

static bool feed_windowed(struct utterance *utterance, const w2e_engine *engine, const float *samples, size_t count,
                          bool *answered, w2e_error *error)
{
    struct windowed *windowed = &utterance->windowed;
    size_t missing = (size_t)(windowed->next - (int64_t)windowed->count), some = missing < count ? missing : count;
    if (!add_sound(&windowed->sound, &windowed->count, samples, some, error)) return false;
    *answered = (int64_t)windowed->count == windowed->next;
    return !*answered || recognise_window(utterance, engine, windowed->count, error);
}

static bool feed_cached(struct utterance *utterance, const w2e_engine *engine, const float *samples, size_t count,
                        bool *answered, w2e_error *error)
{
    struct cached *cached = &utterance->cached;
    const struct stream_session *graph = cached->memory.graph;
    while (count && !*answered) {
        size_t room = (size_t)graph->block_samples - cached->count, some = room < count ? room : count;
        add_to_block(cached, samples, some);
        if (samples) samples += some;
        count -= some;
        if ((int64_t)cached->count < graph->block_samples) continue;
        if (!recognise_chunk(utterance, engine, graph->chunk_frames, error)) return false;
        *answered = true;
    }
    return true;
}

/* Takes more sound, up to where there are new outputs; `answered` tells that there are. */
static bool feed_utterance(struct utterance *utterance, const w2e_engine *engine, const float *samples, size_t count,
                           bool *answered, w2e_error *error)
{
    struct second_pass *second = &utterance->second;
    *answered = false;
    if (utterance->kind == WINDOWED) return feed_windowed(utterance, engine, samples, count, answered, error);
    int64_t begun = taken_by(utterance, engine);
    if (!feed_cached(utterance, engine, samples, count, answered, error)) return false;
    if (utterance->kind == CACHED) return true;
    int64_t kept = second->begins + (int64_t)second->count, taken = taken_by(utterance, engine);
    return kept >= taken
           || add_sound(&second->sound, &second->count, samples + (kept - begun), (size_t)(taken - kept), error);
}

/* Recognises what is left of a cached utterance; its last answers come from what is behind its end, or from silence. */
static bool finish_cached(struct utterance *utterance, const w2e_engine *engine, int64_t end, w2e_error *error)
{
    const struct geometry *geometry = &engine->bundle.geometry;
    struct cached *cached = &utterance->cached;
    int64_t taken = taken_by(utterance, engine), length = (end < taken ? end : taken) - cached->origin;
    if (length < geometry->receptive_field) length = geometry->receptive_field;
    length += engine->bundle.streams.delay_frames * geometry->hop;
    for (int64_t missing = cached->origin + length - taken; missing > 0;) {
        int64_t before = taken_by(utterance, engine);
        bool answered = false;
        if (!feed_cached(utterance, engine, NULL, (size_t)missing, &answered, error)) return false;
        missing -= taken_by(utterance, engine) - before;
    }
    int64_t left = length - cached->computed * geometry->hop;
    if (left < (int64_t)cached->count) cached->count = left > 0 ? (size_t)left : 0;
    for (int64_t frames; (frames = frames_of(geometry, (int64_t)cached->count)) > 0;) {
        int64_t chunk = cached->memory.graph->chunk_frames;
        if (!recognise_chunk(utterance, engine, frames < chunk ? frames : chunk, error)) return false;
    }
    cached->provisional = 0;
    return true;
}

/* Recognises the sound of a two-pass utterance before a sample of the stream as a whole. */
static bool recognise_whole(struct utterance *utterance, const w2e_engine *engine, int64_t end, struct outputs *outputs,
                            w2e_error *error)
{
    struct second_pass *second = &utterance->second;
    int64_t length = end - second->begins;
    size_t count = length < 0 ? 0 : (size_t)length < second->count ? (size_t)length : second->count;
    return reserve(&second->sound, 1, sizeof(float), error)
           && run_graph(engine, second->sound.data, count, &utterance->input, outputs, error);
}

/* Recognises what is left of it, up to a sample of the stream. */
static bool finish_utterance(struct utterance *utterance, const w2e_engine *engine, int64_t end, w2e_error *error)
{
    int64_t taken = taken_by(utterance, engine);
    if (utterance->kind == CACHED) return finish_cached(utterance, engine, end, error);
    if (utterance->kind == TWO_PASS) {
        int64_t last = end < taken ? end : taken;
        utterance->second.end = last > utterance->start + 1 ? last : utterance->start + 1;
        utterance->second.done = true;
        return recognise_whole(utterance, engine, utterance->second.end, &utterance->whole, error);
    }
    struct windowed *windowed = &utterance->windowed;
    bool has_outputs = windowed->heard > 0;
    if (end == heard_by(utterance, engine) && has_outputs) return true;
    int64_t samples = (end < taken ? end : taken) - utterance->start;
    return recognise_window(utterance, engine, samples > 1 ? (size_t)samples : 1, error);
}

/* Leaves out what was before a sample of the stream; it begins there now. */
static bool cut_utterance(struct utterance *utterance, const w2e_engine *engine, int64_t position, w2e_error *error)
{
    struct cached *cached = &utterance->cached;
    struct second_pass *second = &utterance->second;
    if (utterance->kind == WINDOWED) {
        drop_sound(&utterance->windowed.sound, &utterance->windowed.count, position - utterance->start);
        utterance->start = position;
        utterance->windowed.due = (int64_t)utterance->windowed.count;
        return recognise_window(utterance, engine, utterance->windowed.count, error);
    }
    int64_t hop = engine->bundle.geometry.hop, frames = (position - utterance->start) / hop;
    if (position < utterance->start) frames = 0;
    if (frames > cached->frames) frames = cached->frames;
    if (engine->bundle.heads.ctc.output && frames) {
        float *answers = cached->answers.data;
        size_t size = engine->bundle.heads.ctc.size, kept = (size_t)(cached->frames + cached->provisional - frames);
        memmove(answers, answers + (size_t)frames * size, kept * size * sizeof *answers);
    }
    utterance->start += frames * hop;
    cached->frames -= frames;
    if (utterance->kind == CACHED) return true;
    drop_sound(&second->sound, &second->count, utterance->start - second->begins);
    second->begins = utterance->start;
    return true;
}

/* Streams ---------------------------------------------------------------------------------------------------------- */

#define PAST 15             /* the floor is the minimum over so many sub-windows before its own, 3 s */
#define ASSUMED_POWER 4e-6f /* of white noise of 50 dB below full scale, where the past says nothing of the noise */
#define ASSUMED_FOR 5       /* sub-windows for which a stream that has begun is held to it */
#define SILENT_DBFS (-120.0)
#define GROWS_S 0.8 /* the last word may still grow until so much sound has come after it */
#define IDLE_S 2.0  /* of sound in which nothing was recognised yet, so much is kept at most */
#define KEPT_IDLE_S 1.0
#define LEAST_PADDING_S 0.15 /* sound around speech that belongs to it */
#define FIRST_LETTER_S 0.02  /* a chunk and its look-ahead end so long after the first letter can be known */
#define STEP_MS 160

/* Voice activity while sound comes: a frame's score comes with the audio of its window. The noise in each band is the
 * minimum of its smoothed power over the last seconds. */
struct live_detector {
    struct spectrum spectrum;
    float samples[VAD_WINDOW];
    size_t count;
    float before[2][BANDS], level_before[2]; /* the powers of the last two frames, and their means */
    bool has_before;
    float quietest[PAST + 1][BANDS], loudest[PAST + 1]; /* a row for each sub-window, used in turn */
    int frame;                                          /* the next one's place in the rows */
};

/* Follows the scores of a detector: where utterances begin and end. */
struct endpointer {
    bool speaks, sure;
    int64_t position; /* of the next score */
    int64_t sure_from, speech_end;
};

/* Words that ended a while ago, and on which two answers in a row agree, become stable and stay (LocalAgreement-2 of
 * Liu, Spanakis and Niehues, Interspeech 2020). */
struct stable_words {
    double settled_s;
    struct words stable, before;
};

struct w2e_stream {
    w2e_engine *engine;
    w2e_stream_options options;
    bool detects, normalizes, closed;
    int64_t padding;
    struct live_detector detector;
    struct endpointer endpointer;
    struct utterance utterance;
    struct stable_words stable;
    /* Sound */
    int channels; /* 0: not known yet */
    double level_dbfs;
    struct resampler resampler;
    struct buffer mono, sound, audio;
    size_t sound_count, audio_count;
    int64_t audio_start, free_from;
    /* Answers */
    struct reader reader;
    struct outputs settled;
    struct words words, said, part;
    size_t said_stable, said_label;
    bool has_said;
    struct arena answers;
    struct buffer events;
    size_t event_count;
    double arrived_s, compute_s;
};

static double system_clock_s(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void restart_detector(struct live_detector *detector)
{
    detector->count = 0;
    detector->has_before = false;
    detector->frame = 0;
    for (int row = 0; row <= PAST; row++) {
        detector->loudest[row] = 0;
        for (int band = 0; band < BANDS; band++)
            detector->quietest[row][band] = row < ASSUMED_FOR ? ASSUMED_POWER : (float)INFINITY;
    }
}

/* The noise under the next frame. */
static void noise_under(struct live_detector *detector, const float powers[BANDS], bool silent, float floor[BANDS])
{
    int row = detector->frame / GROUP;
    float mean = mean_of(powers), loudest = 0;
    if (detector->frame % GROUP == 0) {
        detector->loudest[row] = 0;
        for (int band = 0; band < BANDS; band++) detector->quietest[row][band] = (float)INFINITY;
    }
    if (mean > detector->loudest[row]) detector->loudest[row] = mean;
    for (int i = 0; i <= PAST; i++)
        if (detector->loudest[i] > loudest) loudest = detector->loudest[i];
    for (int band = 0; band < BANDS; band++) {
        float heard = silent ? ASSUMED_POWER : powers[band], least = (float)INFINITY;
        if (heard < detector->quietest[row][band]) detector->quietest[row][band] = heard;
        for (int i = 0; i <= PAST; i++)
            if (detector->quietest[i][band] < least) least = detector->quietest[i][band];
        float level = BIAS * least > RANGE * loudest ? BIAS * least : RANGE * loudest;
        floor[band] = level > LOWEST_POWER ? level : LOWEST_POWER;
    }
    detector->frame = (detector->frame + 1) % ((PAST + 1) * GROUP);
}

/* The score of the next frame, whose window is at the beginning of the samples. */
static float next_score(struct live_detector *detector)
{
    float powers[BANDS], smoothed[BANDS], floor[BANDS];
    band_powers(&detector->spectrum, detector->samples, powers);
    float level = mean_of(powers);
    for (int i = 0; i < 2 && !detector->has_before; i++) {
        memcpy(detector->before[i], powers, sizeof powers);
        detector->level_before[i] = level;
    }
    detector->has_before = true;
    /* A window half in digital silence has a power that is neither that of the silence nor that of the noise. */
    bool silent =
        level <= LOWEST_POWER || detector->level_before[0] <= LOWEST_POWER || detector->level_before[1] <= LOWEST_POWER;
    for (int band = 0; band < BANDS; band++)
        smoothed[band] = (detector->before[0][band] + detector->before[1][band] + powers[band]) / 3;
    memcpy(detector->before[0], detector->before[1], sizeof powers);
    memcpy(detector->before[1], powers, sizeof powers);
    detector->level_before[0] = detector->level_before[1];
    detector->level_before[1] = level;
    noise_under(detector, smoothed, silent, floor);
    return score_db(smoothed, floor);
}

static void restart_endpointer(w2e_stream *stream, int64_t position)
{
    restart_detector(&stream->detector);
    stream->endpointer = (struct endpointer){.position = position, .speech_end = position};
}

/* At the sample `at` of the stream speech began, or ended: it is known by the sample `known`. */
struct change {
    bool speaks;
    int64_t at, known;
};

/* Whether a score changes something, and what. */
static bool follow_live(w2e_stream *stream, float score, struct change *change)
{
    struct endpointer *endpointer = &stream->endpointer;
    int64_t here = endpointer->position;
    endpointer->position = here + VAD_HOP;
    int64_t known = here + VAD_WINDOW;
    if (endpointer->speaks) {
        if (score >= ENDS_BELOW) {
            endpointer->speech_end = endpointer->position;
        } else if ((double)(endpointer->position - endpointer->speech_end) >= stream->options.silence_s * RATE_HZ) {
            endpointer->speaks = endpointer->sure = false;
            *change = (struct change){false, endpointer->speech_end, known};
            return true;
        }
        return false;
    }
    if (score <= STARTS_ABOVE) {
        endpointer->sure = false;
        return false;
    }
    if (!endpointer->sure) endpointer->sure_from = here;
    endpointer->sure = true;
    if ((double)(endpointer->position - endpointer->sure_from) < stream->options.start_s * RATE_HZ) return false;
    endpointer->speaks = true;
    endpointer->speech_end = endpointer->position;
    *change = (struct change){true, endpointer->sure_from, known};
    return true;
}

/* The words of another answer, in which those that are stable stay as they were: into `merged`. */
static bool merge_words(const struct stable_words *stable, const struct words *words, struct words *merged,
                        w2e_error *error)
{
    size_t count = stable->stable.count;
    clear_words(merged);
    return add_words(merged, &stable->stable, 0, count, 0, error)
           && add_words(merged, words, count, words->count, 0, error);
}

/* After another answer, which was merged already: more of its words may be stable now. */
static bool update_words(struct stable_words *stable, const struct words *words, const struct words *merged,
                         double heard_s, w2e_error *error)
{
    size_t settled = 0, agreed = 0, count = words->count;
    for (size_t i = 0; i < count; i++) {
        double waited_s = i + 1 < count ? stable->settled_s : fmax(GROWS_S, stable->settled_s);
        settled += heard_s - word_at(words, i)->end_s >= waited_s;
    }
    while (agreed < count && agreed < stable->before.count
           && strcmp(word_text(words, agreed), word_text(&stable->before, agreed)) == 0)
        agreed++;
    clear_words(&stable->before);
    if (!add_words(&stable->before, words, 0, count, 0, error)) return false;
    size_t sure = agreed < settled ? agreed : settled, known = stable->stable.count;
    if (sure > merged->count) sure = merged->count;
    return sure <= known || add_words(&stable->stable, merged, known, sure, 0, error);
}

/* Leaves out so many words at the beginning, with the sound that they were in. */
static void forget_words(struct stable_words *stable, size_t count, double earlier_s)
{
    drop_words(&stable->stable, count);
    drop_words(&stable->before, count);
    struct word *items = stable->stable.items.data;
    for (size_t i = 0; i < stable->stable.count; i++) {
        items[i].start_s -= earlier_s;
        items[i].end_s -= earlier_s;
    }
}

static double seconds(int64_t samples)
{
    return (double)samples / RATE_HZ;
}

static int64_t clock_of(const w2e_stream *stream)
{
    return stream->audio_start + (int64_t)stream->audio_count;
}

static double now_s(const w2e_stream *stream)
{
    return stream->utterance.clock_s(stream->utterance.clock_context);
}

/* Opens an utterance, of which the sound up to a sample of the stream is known by now. */
static void open_stream_utterance(w2e_stream *stream, int64_t start, int64_t known)
{
    size_t first = (size_t)(start - stream->audio_start), count = known > start ? (size_t)(known - start) : 0;
    const float *audio = stream->audio.data;
    if (stream->normalizes) begin_level(&stream->utterance.cached.level, count ? audio + first : NULL, count);
    begin_utterance(&stream->utterance, start);
    clear_words(&stream->stable.stable);
    clear_words(&stream->stable.before);
    stream->has_said = false;
}

/* Adds an event, the answer to the sound from the beginning of the utterance to a sample of the stream. */
static bool add_event(w2e_stream *stream, w2e_event_type type, const struct words *words, int64_t end,
                      const char *reason, w2e_error *error)
{
    w2e_event *events = reserve(&stream->events, stream->event_count + 1, sizeof *events, error);
    if (!events) return false;
    double start_s = seconds(stream->utterance.start), end_s = seconds(end);
    w2e_event *event = &events[stream->event_count];
    *event = (w2e_event){.type = type, .reason = reason};
    bool judged = type == W2E_FINAL;
    if (!make_answer(&event->answer, &stream->answers, stream->engine, &stream->reader.reading, words, start_s, judged,
                     error))
        return false;
    event->answer.start_s = start_s;
    event->answer.end_s = end_s > start_s ? end_s : start_s;
    if (type == W2E_PARTIAL) event->stable_words = stream->stable.stable.count;
    event->latency_s = seconds(clock_of(stream) - end) + now_s(stream) - stream->arrived_s;
    stream->event_count++;
    return true;
}

/* What the outputs of the utterance say, and how long it is in seconds. */
static bool read_utterance(w2e_stream *stream, double *length_s, w2e_error *error)
{
    struct view view = outputs_of(&stream->utterance);
    *length_s = seconds(heard_by(&stream->utterance, stream->engine) - stream->utterance.start);
    return read_outputs(&stream->reader, stream->engine, &view, error);
}

/* Ends the open utterance, if there is one; one in which nothing was recognised was noise. */
static bool end_utterance(w2e_stream *stream, const char *reason, int64_t end, w2e_error *error)
{
    struct utterance *utterance = &stream->utterance;
    if (!utterance->open) return true;
    utterance->open = false;
    int64_t padded = end + stream->padding, taken = taken_by(utterance, stream->engine);
    int64_t last = taken < padded ? taken : padded;
    double length_s;
    stream->free_from = last;
    if (!finish_utterance(utterance, stream->engine, last > utterance->start + 1 ? last : utterance->start + 1, error))
        return false;
    if (!read_utterance(stream, &length_s, error)
        || !merge_words(&stream->stable, &stream->reader.reading.words, &stream->words, error))
        return false;
    if (stream->engine->bundle.heads.ctc.output && !stream->words.count) return true;
    return add_event(stream, W2E_FINAL, &stream->words, end, reason, error);
}

/* Ends the utterance, and begins another with the sound that this one has not taken. */
static bool end_and_go_on(w2e_stream *stream, const char *reason, int64_t end, w2e_error *error)
{
    int64_t taken =
        taken_by(&stream->utterance, stream->engine); /* before it goes back to its end, or on into silence */
    if (!end_utterance(stream, reason, end, error)) return false;
    open_stream_utterance(stream, taken, taken);
    return true;
}

/* An utterance that goes on too long: what was said before its last word is final. */
static bool part_utterance(w2e_stream *stream, w2e_error *error)
{
    const w2e_engine *engine = stream->engine;
    struct utterance *utterance = &stream->utterance;
    size_t count = stream->words.count;
    if (count < 2) {
        return end_and_go_on(stream, "length", heard_by(utterance, engine), error);
    }
    double before_s = word_at(&stream->words, count - 2)->end_s, last_s = word_at(&stream->words, count - 1)->start_s;
    double border_s = (before_s + (last_s > before_s ? last_s : before_s)) / 2;
    int64_t start = utterance->start, position = start + (int64_t)nearbyint(border_s * RATE_HZ);
    const struct words *final = &stream->part;
    clear_words(&stream->part);
    if (!add_words(&stream->part, &stream->words, 0, count - 1, 0, error)) return false;
    if (utterance->kind == TWO_PASS) {
        if (!recognise_whole(utterance, engine, position, &stream->settled, error)) return false;
        struct view view = view_of(&stream->settled);
        if (!read_outputs(&stream->reader, engine, &view, error)) return false;
        final = &stream->reader.reading.words;
    }
    if (!add_event(stream, W2E_FINAL, final, position, "length", error)
        || !cut_utterance(utterance, engine, position, error))
        return false;
    forget_words(&stream->stable, count - 1, seconds(utterance->start - start));
    return true;
}

/* Whether an answer says something else than the last. */
static bool says_more(const w2e_stream *stream, size_t label)
{
    const struct words *words = &stream->words, *said = &stream->said;
    if (!stream->has_said || stream->said_stable != stream->stable.stable.count || stream->said_label != label
        || words->count != said->count)
        return true;
    for (size_t i = 0; i < words->count; i++)
        if (strcmp(word_text(words, i), word_text(said, i)) != 0) return true;
    return false;
}

/* Shortens, ends or parts the utterance where it is time; where not, says when it may be. */
static bool decide(w2e_stream *stream, double length_s, w2e_error *error)
{
    struct utterance *utterance = &stream->utterance;
    const w2e_stream_options *options = &stream->options;
    size_t count = stream->words.count;
    double end_s = count ? word_at(&stream->words, count - 1)->end_s : INFINITY; /* no word: no blank behind it */
    bool idle = stream->engine->bundle.heads.ctc.output && !count;
    decide_by(utterance, idle ? IDLE_S : fmin(options->longest_s, end_s + options->blank_s));
    if (idle) {
        int64_t kept = (int64_t)(KEPT_IDLE_S * RATE_HZ);
        return length_s <= IDLE_S
               || cut_utterance(utterance, stream->engine, heard_by(utterance, stream->engine) - kept, error);
    }
    if (length_s - end_s >= options->blank_s)
        return end_and_go_on(stream, "blank", utterance->start + (int64_t)nearbyint(end_s * RATE_HZ), error);
    return length_s <= options->longest_s || part_utterance(stream, error);
}

/* What new outputs say. */
static bool progress(w2e_stream *stream, w2e_error *error)
{
    const w2e_engine *engine = stream->engine;
    struct utterance *utterance = &stream->utterance;
    const struct reading *reading = &stream->reader.reading;
    double length_s;
    if (!read_utterance(stream, &length_s, error)
        || !merge_words(&stream->stable, &reading->words, &stream->words, error)
        || (decides(utterance) && !update_words(&stream->stable, &reading->words, &stream->words, length_s, error)))
        return false;
    size_t count = stream->words.count;
    size_t label = engine->bundle.heads.classes.output && !reading->rejected
                       ? best_label(reading, engine->bundle.heads.classes.size)
                       : SIZE_MAX;
    bool answered = count || !engine->bundle.heads.ctc.output;
    if (answered && says_more(stream, label)) {
        clear_words(&stream->said);
        if (!add_words(&stream->said, &stream->words, 0, count, 0, error)) return false;
        stream->said_stable = stream->stable.stable.count;
        stream->said_label = label;
        stream->has_said = true;
        if (!add_event(stream, W2E_PARTIAL, &stream->words, heard_by(utterance, engine), NULL, error)) return false;
    }
    return !decides(utterance) || decide(stream, length_s, error);
}

/* Gives an open utterance the sound up to a sample. */
static bool listen(w2e_stream *stream, int64_t until, w2e_error *error)
{
    struct utterance *utterance = &stream->utterance;
    int64_t taken;
    while (utterance->open && (taken = taken_by(utterance, stream->engine)) < until) {
        const float *audio = (const float *)stream->audio.data + (taken - stream->audio_start);
        bool answered;
        if (!feed_utterance(utterance, stream->engine, audio, (size_t)(until - taken), &answered, error)) return false;
        if (answered && !progress(stream, error))
            return false; /* it may have been cut, or ended: go on with the rest */
    }
    return true;
}

/* Drops the sound that neither the open utterance needs nor the next one, which begins before its speech. */
static void forget_sound(w2e_stream *stream)
{
    const struct endpointer *endpointer = &stream->endpointer;
    bool may_begin = !endpointer->speaks && endpointer->sure;
    int64_t begins = (may_begin ? endpointer->sure_from : endpointer->position) - stream->padding;
    int64_t taken = stream->utterance.open ? taken_by(&stream->utterance, stream->engine) : clock_of(stream);
    int64_t needed = taken < begins ? taken : begins;
    int64_t unneeded = needed > stream->audio_start ? needed - stream->audio_start : 0;
    drop_sound(&stream->audio, &stream->audio_count, unneeded);
    stream->audio_start += unneeded;
}

static bool follow_change(w2e_stream *stream, const struct change *change, w2e_error *error)
{
    if (!listen(stream, change->known, error)) return false;
    if (!change->speaks) return end_utterance(stream, "silence", change->at, error);
    int64_t start = change->at - stream->padding;
    if (start < stream->audio_start) start = stream->audio_start;
    if (start < stream->free_from) start = stream->free_from;
    open_stream_utterance(stream, start, change->known);
    return true;
}

/* Follows 16 kHz samples through the changes of voice activity in them. */
static bool take_sound(w2e_stream *stream, const float *samples, size_t count, w2e_error *error)
{
    if (!add_sound(&stream->audio, &stream->audio_count, samples, count, error)) return false;
    struct change change = {.speaks = true, .at = stream->endpointer.position};
    if (!stream->detects && count && !stream->endpointer.speaks) {
        stream->endpointer.speaks = true;
        if (!follow_change(stream, &change, error)) return false;
    }
    if (!stream->detects) stream->endpointer.position += (int64_t)count;
    struct live_detector *detector = &stream->detector;
    for (size_t at = 0; stream->detects && at < count;) {
        size_t room = VAD_WINDOW - detector->count, some = room < count - at ? room : count - at;
        memcpy(detector->samples + detector->count, samples + at, some * sizeof *samples);
        detector->count += some;
        at += some;
        if (detector->count < VAD_WINDOW) break;
        bool changed = follow_live(stream, next_score(detector), &change);
        detector->count -= VAD_HOP;
        memmove(detector->samples, detector->samples + VAD_HOP, detector->count * sizeof *detector->samples);
        if (changed && !follow_change(stream, &change, error)) return false;
    }
    if (!listen(stream, clock_of(stream), error)) return false;
    forget_sound(stream);
    return true;
}

static bool begin_call(w2e_stream *stream, w2e_events *events, w2e_error *error)
{
    if (events) *events = (w2e_events){NULL, 0};
    if (!GIVEN(stream)) return false;
    if (stream->closed) return fail(error, MESSAGE_STREAM_IS_FINISHED, NULL);
    stream->arrived_s = now_s(stream);
    stream->event_count = 0;
    return arena_begin(&stream->answers, ARENA_BLOCK, error);
}

static bool end_call(w2e_stream *stream, bool fine, w2e_events *events)
{
    stream->compute_s += now_s(stream) - stream->arrived_s;
    if (fine && events) *events = (w2e_events){stream->events.data, stream->event_count};
    return fine;
}

/* A block is refused where it is not like those before it. */
static bool check_block(const w2e_stream *stream, const w2e_pcm *pcm, w2e_error *error)
{
    int rate_hz = stream->options.rate_hz;
    if (pcm->rate_hz && pcm->rate_hz != rate_hz)
        return fail(error, MESSAGE_STREAM_RATE_CHANGED, "before", integer(rate_hz).text, "now",
                    integer(pcm->rate_hz).text, NULL);
    if (!check_shape("stream", pcm, error)) return false;
    if (stream->channels && pcm->channels != stream->channels)
        return fail(error, MESSAGE_STREAM_CHANNELS_CHANGED, "before", integer(stream->channels).text, "now",
                    integer(pcm->channels).text, NULL);
    return true;
}

/* The sound of a block as one channel. */
static const float *take_block(w2e_stream *stream, const w2e_pcm *pcm, w2e_error *error)
{
    float *mono = reserve(&stream->mono, pcm->frames, sizeof *mono, error);
    struct mixdown mixdown = {0};
    if (!mono || !to_mono(&mixdown, "stream", pcm, 0, mono, error)) return NULL;
    double power = 0;
    for (size_t i = 0; i < pcm->frames; i++) power += (double)mono[i] * (double)mono[i];
    double level = power > 0 ? 10 * log10(power / (double)pcm->frames) : SILENT_DBFS;
    stream->channels = pcm->channels;
    stream->level_dbfs = level > SILENT_DBFS ? level : SILENT_DBFS;
    return mono;
}

bool w2e_stream_feed_pcm(w2e_stream *stream, const w2e_pcm *pcm, w2e_events *events, w2e_error *error)
{
    if (!begin_call(stream, events, error) || !GIVEN(pcm) || !check_block(stream, pcm, error)) return false;
    const float *samples = pcm->frames ? take_block(stream, pcm, error) : NULL;
    size_t count = pcm->frames;
    bool fine = samples || !pcm->frames;
    if (samples && stream->options.rate_hz != RATE_HZ) {
        stream->sound_count = 0;
        fine = resample(&stream->resampler, samples, count, false, &stream->sound, &stream->sound_count, error);
        samples = stream->sound.data;
        count = stream->sound_count;
    }
    return end_call(stream, fine && take_sound(stream, samples, count, error), events);
}

bool w2e_stream_feed(w2e_stream *stream, const float *samples, size_t count, w2e_events *events, w2e_error *error)
{
    w2e_pcm pcm = {samples, count, 1, W2E_F32, 0};
    return w2e_stream_feed_pcm(stream, &pcm, events, error);
}

/* Takes what the resampler held back, and ends the open utterance. */
static bool end_all(w2e_stream *stream, const char *reason, w2e_error *error)
{
    stream->sound_count = 0;
    if (stream->options.rate_hz != RATE_HZ
        && !resample(&stream->resampler, NULL, 0, true, &stream->sound, &stream->sound_count, error))
        return false;
    return take_sound(stream, stream->sound.data, stream->sound_count, error)
           && end_utterance(stream, reason, clock_of(stream), error);
}

bool w2e_stream_gap(w2e_stream *stream, double lost_s, w2e_events *events, w2e_error *error)
{
    if (!begin_call(stream, events, error)) return false;
    if (!(lost_s >= 0 && lost_s <= LONGEST_CLOCK_S - seconds(clock_of(stream))))
        return fail(error, MESSAGE_OPTION_KIND, "option", "lost_s", "value", shown(lost_s).text, "kind",
                    "seconds, 1e9 at most with those before", NULL);
    bool fine = end_all(stream, "gap", error);
    if (fine) {
        stream->free_from = clock_of(stream) + (int64_t)nearbyint(lost_s * RATE_HZ);
        stream->audio_count = 0;
        stream->audio_start = stream->free_from;
        restart_endpointer(stream, stream->free_from);
    }
    return end_call(stream, fine, events);
}

bool w2e_stream_finish(w2e_stream *stream, w2e_events *events, w2e_error *error)
{
    if (!begin_call(stream, events, error)) return false;
    bool fine = end_all(stream, "finish", error);
    stream->closed = fine;
    return end_call(stream, fine, events);
}

double w2e_stream_clock_s(const w2e_stream *stream)
{
    return stream ? seconds(clock_of(stream)) : 0;
}

bool w2e_stream_speaking(const w2e_stream *stream)
{
    return stream && stream->utterance.open;
}

double w2e_stream_level_dbfs(const w2e_stream *stream)
{
    return stream ? stream->level_dbfs : 0;
}

double w2e_stream_compute_s(const w2e_stream *stream)
{
    return stream ? stream->compute_s : 0;
}

/* Opening streams -------------------------------------------------------------------------------------------------- */

w2e_stream_options w2e_default_stream_options(void)
{
    return (w2e_stream_options){.rate_hz = RATE_HZ,
                                .start_s = 0.06,
                                .padding_s = (double)NAN,
                                .silence_s = 0.7,
                                .blank_s = 1.5,
                                .longest_s = 20};
}

static bool check_endpointing(const w2e_stream_options *options, w2e_error *error)
{
    const struct {
        const char *name;
        double value;
    } CHECKED[] = {{"start_s", options->start_s},
                   {"padding_s", isnan(options->padding_s) ? 0 : options->padding_s},
                   {"silence_s", options->silence_s},
                   {"blank_s", options->blank_s}};
    for (size_t i = 0; i < sizeof CHECKED / sizeof *CHECKED; i++)
        if (!(CHECKED[i].value >= 0 && CHECKED[i].value < (double)INFINITY))
            return fail(error, MESSAGE_OPTION_SECONDS, "option", CHECKED[i].name, "value", shown(CHECKED[i].value).text,
                        NULL);
    if (!(options->longest_s >= 1))
        return fail(error, MESSAGE_ENDPOINTING_LONGEST, "option", "longest_s", "value", shown(options->longest_s).text,
                    NULL);
    if (strcmp(options->vad, "energy") != 0 && strcmp(options->vad, "none") != 0)
        return fail(error, MESSAGE_ENDPOINTING_VAD, "vad", options->vad, "choices", "energy, none", NULL);
    return true;
}

/* The kind of a name; false: there is none. */
static bool choose_kind(const w2e_engine *engine, const char *name, enum stream_kind *kind, w2e_error *error)
{
    bool has_graphs = engine->bundle.streams.file_count > 0, automatic = strcmp(name, "auto") == 0;
    *kind = strcmp(name, "two-pass") == 0 ? TWO_PASS : strcmp(name, "windowed") == 0 ? WINDOWED : CACHED;
    if (automatic && !has_graphs) *kind = WINDOWED;
    if (*kind == CACHED && !automatic && strcmp(name, "cached") != 0)
        return fail(error, MESSAGE_STREAM_KIND, "kind", name, NULL);
    const struct heads *heads = &engine->bundle.heads;
    if (!heads->ctc.output && !heads->classes.output)
        return fail(error, MESSAGE_STREAM_NO_HEAD, "engine", engine->description, NULL);
    if (*kind != WINDOWED && !has_graphs)
        return fail(error, MESSAGE_STREAM_NO_GRAPHS, "engine", engine->description, NULL);
    return true;
}

/* Sound before speech with which a chunk is computed as soon as the first letter of an utterance can be known. */
static double aligned_padding_s(const struct stream_session *graph, const struct bundle *bundle)
{
    double frame_s = bundle->geometry.frame_s, chunk_s = (double)graph->chunk_frames * frame_s;
    int64_t delay = bundle->streams.delay_frames - bundle->streams.look_ahead_frames;
    double known_s = (double)delay * frame_s + FIRST_LETTER_S;
    return ceil((LEAST_PADDING_S + known_s) / chunk_s) * chunk_s - known_s;
}

/* Makes what recognises the utterances of a stream. */
static bool prepare_utterances(w2e_stream *stream, enum stream_kind kind, w2e_error *error)
{
    w2e_engine *engine = stream->engine;
    w2e_stream_options *options = &stream->options;
    struct utterance *utterance = &stream->utterance;
    const struct stream_session *graph = NULL;
    utterance->kind = kind;
    utterance->clock_s = options->clock_s ? options->clock_s : system_clock_s;
    utterance->clock_context = options->clock_context;
    if (kind != WINDOWED && !(graph = open_stream_session(engine, options->chunk_ms, error))) return false;
    if (isnan(options->padding_s))
        options->padding_s = graph ? aligned_padding_s(graph, &engine->bundle) : LEAST_PADDING_S;
    stream->padding = (int64_t)nearbyint(fmin(options->padding_s, LONGEST_CLOCK_S) * RATE_HZ);
    double longest_s = fmax(1, FAR_LONGER * comfortable_s(engine));
    if (kind != CACHED && longest_s < options->longest_s) options->longest_s = longest_s;
    int step_ms = options->chunk_ms ? options->chunk_ms : STEP_MS;
    if (!graph && step_ms < 1) return fail(error, MESSAGE_STREAM_STEP, "step", integer(step_ms).text, NULL);
    utterance->windowed.step = (int64_t)nearbyint(step_ms * (RATE_HZ / 1e3));
    double frames = (double)engine->bundle.streams.look_ahead_frames;
    stream->stable.settled_s = kind == WINDOWED   ? WINDOWED_SETTLED_S
                               : kind == TWO_PASS ? (double)INFINITY /* no word is sure before the second pass */
                                                  : CACHED_SETTLED_S + frames * engine->bundle.geometry.frame_s;
    if (!graph) return true;
    utterance->cached.level.gain = 1;
    stream->normalizes = normalizes(&engine->bundle.streams);
    utterance->cached.no_classes = allocate(engine->bundle.heads.classes.size, sizeof(float), error);
    return utterance->cached.no_classes && open_memory(&utterance->cached.memory, graph, &engine->bundle, error);
}

w2e_stream *w2e_stream_open(w2e_engine *engine, const w2e_stream_options *chosen, w2e_error *error)
{
    w2e_stream_options options = chosen ? *chosen : w2e_default_stream_options();
    enum stream_kind kind;
    if (!options.kind) options.kind = "auto";
    if (!options.vad) options.vad = "energy";
    if (!GIVEN(engine) || !check_endpointing(&options, error) || !choose_kind(engine, options.kind, &kind, error))
        return NULL;
    w2e_stream *stream = allocate(1, sizeof *stream, error);
    if (!stream) return NULL;
    stream->engine = engine;
    stream->options = options;
    stream->level_dbfs = SILENT_DBFS;
    stream->detects = strcmp(options.vad, "none") != 0;
    bool fine = prepare_utterances(stream, kind, error) && check_rate("stream", options.rate_hz, error)
                && (options.rate_hz == RATE_HZ || open_resampler(&stream->resampler, options.rate_hz, error))
                && reserve(&stream->sound, 1, sizeof(float), error);
    make_spectrum(&stream->detector.spectrum);
    restart_endpointer(stream, 0);
    if (fine) return stream;
    w2e_stream_close(stream);
    return NULL;
}

void w2e_stream_close(w2e_stream *stream)
{
    if (!stream) return;
    release_utterance(&stream->utterance);
    release_words(&stream->stable.stable);
    release_words(&stream->stable.before);
    release_words(&stream->words);
    release_words(&stream->said);
    release_words(&stream->part);
    close_resampler(&stream->resampler);
    release(&stream->mono);
    release(&stream->sound);
    release(&stream->audio);
    release_reader(&stream->reader);
    release_outputs(&stream->settled);
    arena_free(&stream->answers);
    release(&stream->events);
    W2E_FREE(stream);
}

/* Checking a bundle ------------------------------------------------------------------------------------------------ */

#define GOLDEN_BLOCK 4001 /* samples that the golden input is fed in at once: no multiple of any chunk */

/* Where checks go, and how many failed. */
struct checks {
    w2e_check_function function;
    void *context;
    size_t count, failed;
    struct line failures;
};

static void report(struct checks *checks, const char *name, bool passed, const char *detail)
{
    checks->count++;
    checks->failed += !passed;
    if (!passed) line_add(&checks->failures, ", ", name);
    if (checks->function) checks->function(checks->context, name, passed, detail);
}

static void check_digests(struct checks *checks, const struct bundle *bundle)
{
    const char *unknown =
        "format version 1, without a digest of its own: what it says cannot be checked; export the bundle again";
    report(checks, "manifest.json", bundle->is_sealed, bundle->is_sealed ? "SHA-256 matches its last line" : unknown);
    for (size_t i = 0; i < bundle->file_count; i++) {
        struct mapped_file file;
        w2e_error error = {.code = 0};
        bool fine = map_listed(bundle, bundle->files[i].name, true, &file, &error);
        report(checks, bundle->files[i].name, fine, fine ? "SHA-256 matches the manifest" : error.message);
        unmap_file(&file);
    }
}

/* Files below a folder that the manifest does not list; hidden ones are skipped. */
static bool check_unlisted(struct checks *checks, const struct bundle *bundle, const char *inside, int depth,
                           w2e_error *error)
{
    char *folder = clean_path(bundle->folder, inside, error);
    if (!folder) return false;
    DIR *listing = opendir(folder);
    W2E_FREE(folder);
    bool fine = true;
    for (struct dirent *entry; fine && listing && (entry = readdir(listing)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        char *joined = *inside ? clean_path(inside, entry->d_name, error) : copy_text(entry->d_name, error);
        char *path = joined ? clean_path(bundle->folder, joined, error) : NULL;
        struct stat about;
        fine = path;
        if (fine && stat(path, &about) == 0 && S_ISDIR(about.st_mode) && depth < 8)
            fine = check_unlisted(checks, bundle, joined, depth + 1, error);
        else if (fine && stat(path, &about) == 0 && S_ISREG(about.st_mode) && !find_file(bundle, joined)
                 && strcmp(joined, "manifest.json") != 0)
            report(checks, joined, false, "not in the manifest; remove it, or export the bundle again");
        W2E_FREE(path);
        W2E_FREE(joined);
    }
    if (listing) closedir(listing);
    return fine;
}

static void check_certificate(struct checks *checks, const char *name, const struct json *certificate)
{
    char title[160];
    snprintf(title, sizeof title, "certificate %.120s", name);
    if (!certificate) report(checks, title, false, "none; export the bundle again");
    else report(checks, title, json_is_true(json_member(certificate, "passed")), text_of(certificate, "summary"));
}

static void report_golden(struct checks *checks, const char *name, const struct json *entry, double difference)
{
    char title[160], detail[200];
    snprintf(title, sizeof title, "golden %.120s", name);
    if (!entry) {
        report(checks, title, false, "none; export the bundle again");
        return;
    }
    const struct json *tolerance = json_member(entry, "tolerance");
    snprintf(detail, sizeof detail, "outputs within %.2e of the recorded ones on cpu (tolerance ", difference);
    use_point(detail);
    strcat(strcat(detail, general(tolerance ? tolerance->number : 0, 6).text), ")");
    report(checks, title, tolerance && difference <= tolerance->number, detail);
}

/* The golden input as an utterance of a cached stream. */
static bool hear_golden(w2e_engine *engine, int chunk_ms, const struct json *golden, const struct json *entry,
                        double *difference, w2e_error *error)
{
    w2e_stream_options options = w2e_default_stream_options();
    options.kind = "cached";
    options.chunk_ms = chunk_ms;
    w2e_stream *stream = w2e_stream_open(engine, &options, error);
    size_t count;
    float *samples = golden_samples(golden, &count, error);
    bool fine = stream && samples;
    struct utterance *utterance = stream ? &stream->utterance : NULL;
    if (fine) begin_utterance(utterance, 0);
    for (int64_t at; fine && (at = taken_by(utterance, engine)) < (int64_t)count;) {
        bool answered;
        size_t left = count - (size_t)at, some = left < GOLDEN_BLOCK ? left : GOLDEN_BLOCK;
        fine = feed_utterance(utterance, engine, samples + at, some, &answered, error);
    }
    fine = fine && finish_utterance(utterance, engine, (int64_t)count, error);
    if (fine) {
        struct view view = outputs_of(utterance);
        *difference = golden_difference(&engine->bundle.heads, entry, &view);
    }
    W2E_FREE(samples);
    w2e_stream_close(stream);
    return fine;
}

static bool check_streams(struct checks *checks, w2e_engine *engine, const struct json *certificates,
                          const struct json *golden, w2e_error *error)
{
    const struct bundle *bundle = &engine->bundle;
    for (size_t i = 0; i < bundle->streams.file_count; i++) {
        const char *precision = bundle->streams.files[i].name;
        struct variant variant = {.name = precision, .precision = precision};
        for (size_t k = 0; k < bundle->streams.chunk_count; k++) {
            int chunk_ms = chunk_ms_of(bundle, k);
            char name[120], chunk[24];
            snprintf(name, sizeof name, "%.60s stream of %d ms", precision, chunk_ms);
            snprintf(chunk, sizeof chunk, "%d", chunk_ms);
            const struct json *entry = json_member(json_member(json_member(golden, "streams"), precision), chunk);
            const struct json *certificate =
                json_member(json_member(json_member(certificates, "streams"), precision), chunk);
            check_certificate(checks, name, certificate);
            double difference = (double)INFINITY;
            const struct variant *own = engine->variant;
            engine->variant = &variant; /* whose graph of streams is taken */
            bool fine = !entry || hear_golden(engine, chunk_ms, golden, entry, &difference, error);
            engine->variant = own;
            if (!fine) return false;
            report_golden(checks, name, entry, difference);
        }
        close_stream_sessions(engine);
    }
    return true;
}

/* One variant, and with the first of them the streams. */
static bool check_variant(struct checks *checks, const char *folder, const w2e_options *options, const char *name,
                          const struct json *certificates, const struct json *golden, bool streams, w2e_error *error)
{
    w2e_options own = *options;
    own.variant = name;
    own.decoder = "greedy"; /* certificate and golden file are those of the best path */
    own.verify = false;     /* it was checked already */
    check_certificate(checks, name, json_member(json_member(certificates, "variants"), name));
    const struct json *entry = json_member(json_member(golden, "variants"), name);
    w2e_engine *engine = w2e_open(folder, &own, error);
    bool fine = engine && (!entry || test_golden(engine, golden, entry, error));
    if (fine) report_golden(checks, name, entry, engine->self_test.difference);
    fine = fine && (!streams || check_streams(checks, engine, certificates, golden, error));
    w2e_close(engine);
    return fine;
}

bool w2e_verify(const char *folder, const w2e_options *chosen, w2e_check_function function, void *context,
                w2e_error *error)
{
    w2e_options options = chosen ? *chosen : w2e_default_options();
    struct checks checks = {.function = function, .context = context};
    struct bundle bundle;
    struct json_document certificates = {.root = NULL}, golden = {.root = NULL};
    if (!GIVEN(folder)) return false;
    bool fine = open_bundle(&bundle, folder, error);
    if (fine) {
        check_digests(&checks, &bundle);
        fine = check_unlisted(&checks, &bundle, "", 0, error);
    }
    bool intact = fine && checks.failed == !bundle.is_sealed; /* the outputs of a damaged graph mean nothing */
    if (intact)
        fine = read_listed_json(&bundle, "certificate.json", &certificates, error)
               && read_listed_json(&bundle, "golden.json", &golden, error);
    for (size_t i = 0; intact && fine && i < bundle.variant_count; i++) {
        bool last = i + 1 == bundle.variant_count;
        fine = check_variant(&checks, folder, &options, bundle.variants[i].name, certificates.root, golden.root, last,
                             error);
    }
    if (fine && checks.failed)
        fine = fail(error, MESSAGE_CHECKS_FAILED, "folder", folder, "failed", integer((int64_t)checks.failed).text,
                    "count", integer((int64_t)checks.count).text, "names", checks.failures.text, NULL);
    json_free(&certificates);
    json_free(&golden);
    close_bundle(&bundle);
    return fine;
}
