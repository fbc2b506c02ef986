/* Times calls on one clip: clip_calls BUNDLE SAMPLES.f32 THREADS CALLS; prints milliseconds of each call, then CPU time. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "wav2edge.h"

static double now_ms(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return 1e3 * (double)at.tv_sec + 1e-6 * (double)at.tv_nsec;
}

/* Not of getrusage, whose peak is that of the process that started this one, if that is higher. */
static double peak_mb(void)
{
    char line[256];
    double kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) sscanf(line, "VmHWM: %lf", &kilobytes);
    if (status) fclose(status);
    return kilobytes / 1024;
}

int main(int count, char **words)
{
    static float samples[16000 * 30];
    if (count != 5) return 2;
    FILE *file = fopen(words[2], "rb");
    if (!file) return 2;
    size_t length = fread(samples, sizeof *samples, sizeof samples / sizeof *samples, file);
    fclose(file);
    w2e_error error;
    w2e_options options = w2e_default_options();
    options.threads = atoi(words[3]);
    int calls = atoi(words[4]), warm_up = calls / 5;
    w2e_engine *engine = w2e_open(words[1], &options, &error);
    if (!engine) return fprintf(stderr, "%s\n", error.message), error.code;
    double cpu_ms = 0;
    printf("{\"wall_ms\": [");
    for (int i = -warm_up; i < calls; i++) {
        if (i == 0) cpu_ms = now_ms(CLOCK_PROCESS_CPUTIME_ID);
        double started_ms = now_ms(CLOCK_MONOTONIC);
        const w2e_result *result = w2e_run(engine, samples, length, 16000, &error);
        if (!result) return fprintf(stderr, "%s\n", error.message), error.code;
        if (i >= 0) printf("%s%.6f", i ? ", " : "", now_ms(CLOCK_MONOTONIC) - started_ms);
    }
    printf("], \"cpu_ms\": %.6f, \"peak_mb\": %.3f}\n", (now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu_ms) / calls,
           peak_mb());
    w2e_close(engine);
    return 0;
}
