/*
 * wav2edge: recognises speech with a wav2edge bundle and ONNX Runtime, on Linux, macOS, Android and iOS.
 *
 *     w2e_error error;
 *     w2e_engine *engine = w2e_open("bundle", NULL, &error);
 *     const w2e_result *result = engine ? w2e_run_file(engine, "clip.wav", &error) : NULL;
 *     if (result) puts(result->answer.text ? result->answer.text : "no model of transcripts");
 *     else fputs(error.message, stderr);
 *     w2e_close(engine);
 *
 * Functions that can fail return NULL or false and fill in the error, whose words are those of the Python package. What
 * an engine or a stream returns belongs to it and lasts until its next call. An engine and each stream are for one
 * thread at a time; an engine and its streams may be in different threads once they are open.
 *
 * Where `options`, `error`, `events` or a member of options is NULL, the default is taken, or nothing is handed out; any
 * other NULL is a usage error. Functions that cannot fail give "", 0 or false for a NULL engine or stream.
 */
#ifndef WAV2EDGE_H
#define WAV2EDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && defined(W2E_SHARED)
#define W2E_API __attribute__((visibility("default")))
#else
#define W2E_API
#endif

#define W2E_VERSION "0.1.0"

/* Errors ---------------------------------------------------------------------------------------------------------- */

typedef enum w2e_error_kind {
    W2E_AUDIO_ERROR,  /* the sound cannot be recognised: unreadable, silent, not finite */
    W2E_USAGE_ERROR,  /* an argument or option is invalid */
    W2E_BUNDLE_ERROR, /* the bundle is missing, damaged, or newer than this version */
    W2E_DEVICE_ERROR, /* ONNX Runtime is missing, or failed */
} w2e_error_kind;

typedef struct w2e_error {
    w2e_error_kind kind;
    int code; /* exit code of a command that the error ends: 1 audio, 2 usage, 3 bundle or device */
    char message[1024];
} w2e_error;

/* Sound ----------------------------------------------------------------------------------------------------------- */

/* Types of samples, least significant byte first; integers are scaled by their full scale. */
typedef enum w2e_format { W2E_U8, W2E_S16, W2E_S24, W2E_S32, W2E_F32, W2E_F64 } w2e_format;

/* Sound in memory: frames of interleaved channels. */
typedef struct w2e_pcm {
    const void *samples;
    size_t frames;
    int channels;
    w2e_format format;
    int rate_hz;
} w2e_pcm;

/* What the header of a WAV file says. */
typedef struct w2e_wav {
    int rate_hz;
    int channels;
    w2e_format format;
    size_t frame_bytes;  /* of one sample of every channel */
    size_t data_offset;  /* where the samples begin */
    uint64_t data_bytes; /* how many bytes of them are promised; UINT64_MAX: it was not known when it was written */
} w2e_wav;

typedef enum w2e_wav_state { W2E_WAV_OK, W2E_WAV_NEEDS_MORE, W2E_WAV_BAD } w2e_wav_state;

/* Reads the header of a WAV file or pipe from its first bytes; with W2E_WAV_BAD the error says why. */
W2E_API w2e_wav_state w2e_wav_header(const char *name, const void *bytes, size_t size, w2e_wav *wav, w2e_error *error);

/* Finds the samples of a whole WAV file in memory, which `pcm` points into; `truncated`: the header promises more of them.
 * False: the error says why they cannot be read. Joined files are refused. */
W2E_API bool w2e_wav_read(const char *name, const void *bytes, size_t size, w2e_pcm *pcm, bool *truncated,
                          w2e_error *error);

/* The name of a format of sound that is not read here and that bytes begin like, such as "FLAC"; NULL: of none. */
W2E_API const char *w2e_other_sound(const void *bytes, size_t size);

/* Answers --------------------------------------------------------------------------------------------------------- */

typedef struct w2e_word {
    const char *text;
    double start_s, end_s;
    double confidence;
} w2e_word;

typedef struct w2e_score {
    const char *label;
    double probability;
} w2e_score;

/* A label, and a stretch of neighbouring frames that have it. */
typedef struct w2e_frame_label {
    const char *label;
    double start_s, end_s;
    double confidence;
} w2e_frame_label;

/* What was recognised in a clip, in a segment of a recording, or in an utterance of a stream. */
typedef struct w2e_answer {
    const char *text;      /* NULL: the model does not transcribe; empty where the answer is rejected */
    const char *label;     /* NULL: the model does not classify, or the answer is rejected */
    const w2e_word *words; /* NULL: the model does not transcribe, or its word times are not certified */
    size_t word_count;
    const w2e_score *scores; /* NULL: the model does not classify */
    size_t score_count;
    const w2e_frame_label *frame_labels; /* in order of their starts; NULL: the model does not label frames */
    size_t frame_label_count;
    const float *embedding; /* NULL: the model gives none */
    size_t embedding_size;
    double start_s, end_s; /* of a recording, or on the stream's clock */
    double confidence;     /* from 0 to 1 */
    bool rejected;         /* it was not sure enough */
} w2e_answer;

typedef struct w2e_result {
    w2e_answer answer;
    double duration_s;
    const w2e_answer *segments; /* NULL: the clip was answered whole */
    size_t segment_count;
    const char *const *warnings;
    size_t warning_count;
} w2e_result;

/* The engine ------------------------------------------------------------------------------------------------------ */

/* Begin with w2e_default_options(). */
typedef struct w2e_options {
    const char *ort_library;  /* path of ONNX Runtime; NULL: that of WAV2EDGE_ORT, or the system's */
    const char *variant;      /* such as "int8"; NULL: the bundle's default */
    const char *language;     /* of a bundle in several languages; NULL: that of its default variant */
    const char *decoder;      /* "greedy", or JSON as in a manifest, such as {"grammar": {"phrases": ["stop"]}}; NULL:
                                  the bundle's own */
    int threads;              /* at most 4096; 0: the physical cores */
    bool spinning;            /* idle threads spin between calls */
    bool verify;              /* compare graphs with their digests */
    double reject_below;      /* answers with less confidence are rejected */
    double longest_segment_s; /* longer recordings are answered in segments; 0: what the model was trained on; INFINITY:
                                  everything is answered whole */
} w2e_options;

typedef struct w2e_engine w2e_engine;

W2E_API w2e_options w2e_default_options(void);

/* Opens a bundle; options may be NULL. */
W2E_API w2e_engine *w2e_open(const char *folder, const w2e_options *options, w2e_error *error);

/* Recognises a clip, or a recording of any length in segments. No memory is allocated (but by ONNX Runtime) once a clip
 * as long was recognised. */
W2E_API const w2e_result *w2e_run(w2e_engine *engine, const float *samples, size_t count, int rate_hz,
                                  w2e_error *error);
W2E_API const w2e_result *w2e_run_pcm(w2e_engine *engine, const w2e_pcm *pcm, w2e_error *error);

/* The same for a WAV file; "-" is standard input. */
W2E_API const w2e_result *w2e_run_file(w2e_engine *engine, const char *path, w2e_error *error);

/* Name of the variant that is loaded, and the version of ONNX Runtime. */
W2E_API const char *w2e_variant(const w2e_engine *engine);
W2E_API const char *w2e_runtime_version(const w2e_engine *engine);

/* Closes it; its streams must be closed before. NULL is fine. */
W2E_API void w2e_close(w2e_engine *engine);

/* Verification ---------------------------------------------------------------------------------------------------- */

/* The golden input of the bundle, recognised here: the largest difference from the outputs at the export, relative to
 * the largest of them. */
typedef struct w2e_self_test {
    bool passed;
    const char *variant;
    double difference, tolerance;
    const char *text, *label; /* NULL without such a head */
} w2e_self_test;

W2E_API const w2e_self_test *w2e_run_self_test(w2e_engine *engine, w2e_error *error);

/* One check of a bundle and its outcome. */
typedef void (*w2e_check_function)(void *context, const char *name, bool passed, const char *detail);

/* Checks every digest, certificate and golden output, as `wav2edge verify` does; false: a check failed, or could not
 * be made. The function may be NULL. */
W2E_API bool w2e_verify(const char *folder, const w2e_options *options, w2e_check_function check, void *context,
                        w2e_error *error);

/* Streams --------------------------------------------------------------------------------------------------------- */

/* Begin with w2e_default_stream_options(). */
typedef struct w2e_stream_options {
    int rate_hz;
    const char *kind; /* "cached", "two-pass" or "windowed"; NULL or "auto": what suits the bundle */
    int chunk_ms;     /* from one answer to the next; 0: the bundle's first, or 160 */
    double start_s;   /* sound that is surely speech before an utterance begins */
    double padding_s; /* sound around speech that goes with it; NAN: what the kind of stream does best with */
    double silence_s; /* silence that ends an utterance */
    double blank_s;   /* sound in which nothing is recognised, and which ends an utterance as well */
    double longest_s; /* a longer utterance is parted between two words */
    const char *vad;  /* NULL or "energy"; "none": everything is speech */
    double (*clock_s)(void *context); /* seconds that pass while answers are computed; NULL: the system's clock */
    void *clock_context;
} w2e_stream_options;

typedef enum w2e_event_type { W2E_PARTIAL, W2E_FINAL } w2e_event_type;

typedef struct w2e_event {
    w2e_event_type type;
    w2e_answer answer;
    size_t stable_words; /* of a partial answer: so many of its first words do not change any more */
    const char *reason;  /* of a final answer: silence, blank, length, gap or finish */
    double latency_s;    /* how long after the end of the answer it came: sound waited for, and time to compute */
} w2e_event;

typedef struct w2e_events {
    const w2e_event *items;
    size_t count;
} w2e_events;

typedef struct w2e_stream w2e_stream;

W2E_API w2e_stream_options w2e_default_stream_options(void);

/* Opens a stream on an engine; options may be NULL. */
W2E_API w2e_stream *w2e_stream_open(w2e_engine *engine, const w2e_stream_options *options, w2e_error *error);

/* Takes a block of any length, and says what is new. A block that is refused is left out, and the stream may go on. */
W2E_API bool w2e_stream_feed(w2e_stream *stream, const float *samples, size_t count, w2e_events *events,
                             w2e_error *error);
W2E_API bool w2e_stream_feed_pcm(w2e_stream *stream, const w2e_pcm *pcm, w2e_events *events, w2e_error *error);

/* Says that so much sound was lost: what was said before is final, and the clock goes on, up to 1e9 seconds. */
W2E_API bool w2e_stream_gap(w2e_stream *stream, double lost_s, w2e_events *events, w2e_error *error);

/* Ends the stream, and says what is left to say; it takes no more sound. */
W2E_API bool w2e_stream_finish(w2e_stream *stream, w2e_events *events, w2e_error *error);

W2E_API double w2e_stream_clock_s(const w2e_stream *stream);    /* seconds of sound since it began */
W2E_API bool w2e_stream_speaking(const w2e_stream *stream);     /* whether an utterance is open */
W2E_API double w2e_stream_level_dbfs(const w2e_stream *stream); /* of the latest block, relative to full scale */
W2E_API double w2e_stream_compute_s(const w2e_stream *stream);  /* seconds that recognising took so far */

/* Closes it without another answer. NULL is fine. */
W2E_API void w2e_stream_close(w2e_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
