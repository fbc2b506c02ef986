/* Recognises one WAV file: run_file BUNDLE CLIP.wav */

#include <stdio.h>

#include "wav2edge.h"

int main(int count, char **words)
{
    if (count != 3) {
        fprintf(stderr, "usage: run_file BUNDLE CLIP.wav\n");
        return 2;
    }
    w2e_error error;
    w2e_engine *engine = w2e_open(words[1], NULL, &error);
    const w2e_result *result = engine ? w2e_run_file(engine, words[2], &error) : NULL;
    if (!result) {
        fprintf(stderr, "%s\n", error.message);
        w2e_close(engine);
        return error.code;
    }
    const w2e_answer *answer = &result->answer;
    if (answer->text) printf("%s (%.0f %%)\n", answer->text, 100 * answer->confidence);
    for (size_t i = 0; i < answer->word_count; i++)
        printf("%6.2f s  %s\n", answer->words[i].start_s, answer->words[i].text);
    if (answer->label) printf("class %s\n", answer->label);
    for (size_t i = 0; i < result->warning_count; i++) fprintf(stderr, "warning: %s\n", result->warnings[i]);
    w2e_close(engine);
    return 0;
}
