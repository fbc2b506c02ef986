/* A manifest from anywhere: JSON, every field, and the decoder that it describes. */

#include "../wav2edge.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    w2e_error error = {.code = 0};
    struct bundle bundle = {.folder = NULL};
    struct decoder decoder = {.kind = GREEDY};
    bundle.folder = clean_path("bundle", "", &error);
    bundle.manifest_path = clean_path("bundle", "manifest.json", &error);
    if (parse_manifest(&bundle, data, size, &error)) {
        const struct json *entry = json_member(bundle.manifest.root, "decoder");
        if (!choose_variant(&bundle, NULL, NULL, &error) || frames_of(&bundle.geometry, 16000) < 0) abort();
        if (entry) read_decoder(&decoder, entry, &bundle.heads.ctc, &error);
    } else if (!error.code || !error.message[0]) {
        abort(); /* what is refused is refused with words */
    }
    release_decoder(&decoder);
    close_bundle(&bundle);
    return 0;
}
