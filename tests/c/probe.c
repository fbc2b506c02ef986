/* What the tests ask of the library from inside; its source is part of this
 * program.
 *
 *     probe allocations BUNDLE SAMPLES   what is allocated once a clip, or a
 * stream, as long was recognised: a line for each case, its name and the
 * number; SAMPLES are 16-bit and mono at 16 kHz probe resample RATE BLOCK
 * float32 samples on standard input to 16 kHz on standard output, in blocks
 */

#include <stddef.h>

static void *counted_realloc(void *data, size_t bytes);

#define W2E_REALLOC counted_realloc
#define W2E_FREE free

#include "../../runtime/c/wav2edge.c"

static size_t calls;

static void *counted_realloc(void *data, size_t bytes) {
  calls++;
  return realloc(data, bytes);
}

static int tell(const w2e_error *error) {
  fprintf(stderr, "%s\n", error->message);
  return 1;
}

/* Sound from a file of 16-bit samples at 16 kHz. */
static float *read_samples(const char *path, size_t *count) {
  FILE *file = fopen(path, "rb");
  static short content[1 << 20];
  *count = file ? fread(content, sizeof *content, 1 << 20, file) : 0;
  float *samples = malloc(*count * sizeof *samples + 1);
  for (size_t i = 0; samples && i < *count; i++)
    samples[i] = (float)content[i] / 32768;
  if (file)
    fclose(file);
  return samples;
}

static int count_clips(const char *bundle, const char *name,
                       const char *decoder, const float *samples, size_t count,
                       int rate_hz) {
  w2e_error error;
  w2e_options options = w2e_default_options();
  options.threads = 1;
  options.decoder = decoder;
  options.longest_segment_s = 1000;
  w2e_engine *engine = w2e_open(bundle, &options, &error);
  if (!engine || !w2e_run(engine, samples, count, rate_hz, &error))
    return tell(&error);
  calls = 0;
  for (size_t part = 0; part < 8; part++)
    if (!w2e_run(engine, samples + part * count / 16, count - part * count / 8,
                 rate_hz, &error))
      return tell(&error);
  printf("%s at %d Hz: %zu\n", name, rate_hz, calls);
  w2e_close(engine);
  return 0;
}

static int feed_all(w2e_stream *stream, const float *samples, size_t count) {
  w2e_events events;
  w2e_error error;
  for (size_t at = 0; at < count; at += 400) {
    size_t some = count - at < 400 ? count - at : 400;
    if (!w2e_stream_feed(stream, samples + at, some, &events, &error))
      return tell(&error);
  }
  return 0;
}

static double no_time(void *context) {
  (void)context;
  return 0;
}

/* The third time that a stream hears the same, its noise floor is what it was
 * the second time. */
static int count_stream(const char *bundle, const char *kind,
                        const float *samples, size_t count, int rate_hz) {
  w2e_error error;
  w2e_options options = w2e_default_options();
  options.threads = 1;
  w2e_engine *engine = w2e_open(bundle, &options, &error);
  if (!engine)
    return tell(&error);
  w2e_stream_options how = w2e_default_stream_options();
  how.kind = kind;
  how.rate_hz = rate_hz;
  how.clock_s = no_time; /* windows are then of the same length */
  w2e_stream *stream = w2e_stream_open(engine, &how, &error);
  if (!stream)
    return tell(&error);
  if (feed_all(stream, samples, count) || feed_all(stream, samples, count))
    return 1;
  calls = 0;
  if (feed_all(stream, samples, count))
    return 1;
  printf("%s stream at %d Hz: %zu\n", kind, rate_hz, calls);
  w2e_stream_close(stream);
  w2e_close(engine);
  return 0;
}

static int count_allocations(const char *bundle, const char *path) {
  static const char GRAMMAR_TEXT[] =
      "{\"grammar\": {\"phrases\": [\"fu dan\", \"bei jing\"]}}";
  static const char BEAM_TEXT[] =
      "{\"beam\": {\"width\": 4, \"hotwords\": {\"fu dan\": 3}}}";
  size_t count;
  float *samples = read_samples(path, &count);
  if (!samples || count < 64000)
    return 2;
  int failed =
      count_clips(bundle, "greedy", "greedy", samples, 48000, 16000) ||
      count_clips(bundle, "greedy", "greedy", samples, 48000, 48000) ||
      count_clips(bundle, "grammar", GRAMMAR_TEXT, samples, 48000, 16000) ||
      count_clips(bundle, "beam", BEAM_TEXT, samples, 48000, 16000) ||
      count_stream(bundle, "windowed", samples, count, 16000) ||
      count_stream(bundle, "cached", samples, count, 16000) ||
      count_stream(bundle, "two-pass", samples, count, 8000);
  free(samples);
  return failed;
}

static int resample_input(int rate_hz, size_t block) {
  size_t taken, found = 0;
  struct resampler resampler = {.rate_hz = 0};
  struct buffer out = {NULL, 0};
  w2e_error error;
  float *samples = malloc(block * sizeof *samples);
  bool fine = samples && open_resampler(&resampler, rate_hz, &error);
  while (fine && (taken = fread(samples, sizeof *samples, block, stdin)) > 0)
    fine = resample(&resampler, samples, taken, false, &out, &found, &error);
  fine = fine && resample(&resampler, NULL, 0, true, &out, &found, &error);
  if (fine)
    fwrite(out.data, sizeof(float), found, stdout);
  free(samples);
  release(&out);
  close_resampler(&resampler);
  return fine ? 0 : 1;
}

int main(int count, char **words) {
  if (count == 4 && strcmp(words[1], "allocations") == 0)
    return count_allocations(words[2], words[3]);
  if (count == 4 && strcmp(words[1], "resample") == 0)
    return resample_input(atoi(words[2]), (size_t)atoi(words[3]));
  return 2;
}
