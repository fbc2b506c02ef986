/* Samples through all that needs no model: checks, resampling, silence, voice activity, spans. The first bytes are the
 * format, the channels and the rate. */

#include "../wav2edge.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hear_live(const float *samples, size_t count)
{
    static struct live_detector detector;
    if (!detector.spectrum.edges[BANDS]) make_spectrum(&detector.spectrum);
    restart_detector(&detector);
    for (size_t at = 0; at + VAD_WINDOW <= count; at += VAD_HOP) {
        memcpy(detector.samples, samples + at, sizeof detector.samples);
        if (isnan(next_score(&detector))) abort();
    }
}

static void hear_recording(const float *samples, size_t count, w2e_error *error)
{
    struct segmenter segmenter;
    size_t first, end;
    leave_out_silence(samples, count, &first, &end);
    if (first > end || end > count) abort();
    if (!find_spans(&segmenter, samples, count, 0.5, 320, error)) abort();
    for (size_t i = 0; i < segmenter.span_count; i++) {
        const struct span *span = (const struct span *)segmenter.spans.data + i;
        if (span->start < 0 || span->end < span->start || (size_t)span->end > count) abort();
    }
    release(&segmenter.spans);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int RATES_HZ[] = {16000, 8000, 48000, 44100, 12345, 4000};
    if (size < 3) return 0;
    w2e_error error = {.code = 0};
    w2e_pcm pcm = {.samples = data + 3, .channels = data[1] % 70, .format = (w2e_format)(data[0] % 6)};
    pcm.rate_hz = RATES_HZ[data[2] % 6];
    if (!check_shape("array", &pcm, &error)) return 0;
    pcm.frames = (size - 3) / sample_bytes(pcm.format) / (size_t)pcm.channels;
    struct arena arena = {NULL, NULL};
    struct warnings warnings = {.arena = &arena};
    struct mixdown mixdown = {0};
    static struct resampler resamplers[6]; /* one for each rate: filters take longer to make than to use */
    struct resampler *resampler = &resamplers[data[2] % 6];
    static struct buffer found;
    float *mono = allocate(pcm.frames, sizeof *mono, &error);
    bool fine = arena_begin(&arena, 0, &error) && pcm.frames && to_mono(&mixdown, "array", &pcm, 0, mono, &error)
                && warn_of_sound(&mixdown, &warnings, &error);
    if (fine) {
        size_t count = 0, half = pcm.frames / 2;
        if (!open_resampler(resampler, pcm.rate_hz, &error)
            || !resample(resampler, mono, half, false, &found, &count, &error)
            || !resample(resampler, mono + half, pcm.frames - half, true, &found, &count, &error))
            abort();
        if (count != (size_t)floor((double)pcm.frames * RATE_HZ / pcm.rate_hz + 0.5)) abort();
        hear_live(found.data, count);
        if (count) hear_recording(found.data, count, &error);
    }
    W2E_FREE(mono);
    arena_free(&arena);
    return 0;
}
