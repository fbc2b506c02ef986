/* A WAV file from anywhere, up to its samples at 16 kHz. */

#include "../wav2edge.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    w2e_error error = {.code = 0};
    w2e_pcm pcm;
    bool truncated;
    if (!w2e_wav_read("clip.wav", data, size, &pcm, &truncated, &error)) {
        if (error.code != 1 || !error.message[0]) abort();
        return 0;
    }
    struct arena arena = {NULL, NULL};
    struct warnings warnings = {.arena = &arena};
    struct mixdown mixdown = {0};
    float *mono = allocate(pcm.frames, sizeof *mono, &error);
    if (arena_begin(&arena, 0, &error) && pcm.frames && check_shape("clip.wav", &pcm, &error))
        if (to_mono(&mixdown, "clip.wav", &pcm, 0, mono, &error)) warn_of_sound(&mixdown, &warnings, &error);
    W2E_FREE(mono);
    arena_free(&arena);
    return 0;
}
