/* Recognises raw samples from standard input while they come, 16-bit and mono at 16 kHz:
 *
 *     arecord -q -t raw -f S16_LE -r 16000 | stream_file BUNDLE
 */

#include <stdio.h>

#include "wav2edge.h"

static void show(const w2e_events *events)
{
    for (size_t i = 0; i < events->count; i++) {
        const w2e_event *event = &events->items[i];
        const char *text = event->answer.text ? event->answer.text : event->answer.label;
        printf("%s %6.2f s  %s\n", event->type == W2E_FINAL ? "final  " : "partial", event->answer.start_s,
               text ? text : "");
        fflush(stdout);
    }
}

int main(int count, char **words)
{
    if (count != 2) {
        fprintf(stderr, "usage: stream_file BUNDLE < SAMPLES\n");
        return 2;
    }
    w2e_error error = {0};
    w2e_events events;
    w2e_engine *engine = w2e_open(words[1], NULL, &error);
    w2e_stream *stream = engine ? w2e_stream_open(engine, NULL, &error) : NULL;
    int16_t samples[480]; /* 30 ms */
    size_t some;
    bool fine = stream;
    while (fine && (some = fread(samples, sizeof *samples, 480, stdin)) > 0) {
        w2e_pcm pcm = {.samples = samples, .frames = some, .channels = 1, .format = W2E_S16};
        fine = w2e_stream_feed_pcm(stream, &pcm, &events, &error);
        if (fine) show(&events);
    }
    fine = fine && w2e_stream_finish(stream, &events, &error);
    if (fine) show(&events);
    else fprintf(stderr, "%s\n", error.message);
    w2e_stream_close(stream);
    w2e_close(engine);
    return fine ? 0 : error.code;
}
