/* Outputs of a model, as they may come from a damaged one, through every decoder. The first bytes choose it. */

#include "../wav2edge.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VOCABULARY 5

static const char *const TOKENS[VOCABULARY] = {"|", "a", "b", "ab", "[PAD]"};

static void check_tokens(const struct decoding *decoding, size_t frames)
{
    const struct token *tokens = decoding->tokens.data;
    size_t before = 0;
    for (size_t i = 0; i < decoding->token_count; i++) {
        if (tokens[i].start < before || tokens[i].end <= tokens[i].start || tokens[i].end > frames) abort();
        if (tokens[i].surest < tokens[i].start || tokens[i].surest >= tokens[i].end) abort();
        before = tokens[i].end;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const DECODERS[] = {
        "{\"grammar\": {\"phrases\": [\"a b\", \"ab\", \"aab b\"]}}",
        "{\"beam\": {\"width\": 3}}",
        "{\"beam\": {\"width\": 4, \"word_bonus\": 1, \"hotwords\": {\"ab a\": 3, \"b\": -2}}}",
    };
    static bool silent[VOCABULARY] = {false, false, false, false, true};
    static struct ctc_head head = {.output = "logits",
                                   .size = VOCABULARY,
                                   .longest_bytes = 5,
                                   .blank = 4,
                                   .delimiter = "|",
                                   .separator = "",
                                   .delimiter_text = " "};
    static struct decoder decoders[3];
    static bool made;
    if (size < 1) return 0;
    w2e_error error = {.code = 0};
    head.vocabulary = head.cased = (const char **)(uintptr_t)TOKENS;
    head.silent = silent;
    for (int i = 0; i < 3 && !made; i++) {
        struct json_document document;
        char reason[96];
        if (!json_read(&document, DECODERS[i], strlen(DECODERS[i]), reason, &error)
            || !read_decoder(&decoders[i], document.root, &head, &error))
            abort();
        json_free(&document);
    }
    made = true;
    size_t frames = (size - 1) / (VOCABULARY * sizeof(float));
    static float logits[4096 * VOCABULARY];
    static struct decoding decoding;
    if (frames > 200) frames = 200;
    memcpy(logits, data + 1, frames * VOCABULARY * sizeof *logits);
    if (!all_finite(logits, frames * VOCABULARY)) return 0; /* such outputs are refused before they are read */
    int chosen = data[0] % 4;
    bool fine = chosen == 0   ? best_path(&decoding, &head, logits, frames, &error)
                : chosen == 1 ? decode_grammar(&decoding, &decoders[0], &head, logits, frames, &error)
                              : decode_beam(&decoding, &decoders[chosen - 1], &head, logits, frames, &error);
    if (!fine) abort();
    check_tokens(&decoding, frames);
    return 0;
}
