/* A graph file from anywhere, of which the weights are replaced by their places. */

#include "../wav2edge.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    w2e_error error = {.code = 0};
    struct mapped_file file = {data, size};
    struct message_out out = {.size = 0};
    /* The place of a weight is shorter than the weight, and everything else stays. */
    if (put_without_weights(&file, 0, size, 0, "model.onnx", &out, &error) && out.size > size) abort();
    is_one_file(&out, "model.onnx", "model.onnx", &error);
    release(&out.buffer);
    return 0;
}
