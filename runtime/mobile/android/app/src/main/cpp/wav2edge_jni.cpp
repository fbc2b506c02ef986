// The functions of wav2edge.Native: arguments to C, answers to Kotlin's classes, errors to exceptions. Nothing is decided
// here.
#include <jni.h>

#include <string>

#include "wav2edge.h"

namespace {

w2e_engine *engine_of(jlong handle) { return reinterpret_cast<w2e_engine *>(handle); }

w2e_stream *stream_of(jlong handle) { return reinterpret_cast<w2e_stream *>(handle); }

std::string utf8(JNIEnv *env, jbyteArray bytes) {
    std::string text(static_cast<size_t>(env->GetArrayLength(bytes)), '\0');
    env->GetByteArrayRegion(bytes, 0, static_cast<jsize>(text.size()), reinterpret_cast<jbyte *>(text.data()));
    return text;
}

// NewStringUTF wants a dialect of UTF-8 that has no characters of four bytes.
jstring string_of(JNIEnv *env, const char *text) {
    if (text == nullptr) return nullptr;
    const auto size = static_cast<jsize>(std::char_traits<char>::length(text));
    jbyteArray bytes = env->NewByteArray(size);
    if (bytes == nullptr) return nullptr;
    env->SetByteArrayRegion(bytes, 0, size, reinterpret_cast<const jbyte *>(text));
    jclass type = env->FindClass("java/lang/String");
    jmethodID made_of = env->GetMethodID(type, "<init>", "([BLjava/lang/String;)V");
    return static_cast<jstring>(env->NewObject(type, made_of, bytes, env->NewStringUTF("UTF-8")));
}

template <typename... Values>
jobject object_of(JNIEnv *env, const char *type_name, const char *signature, Values... values) {
    jclass type = env->FindClass(type_name);
    return env->NewObject(type, env->GetMethodID(type, "<init>", signature), values...);
}

void raise(JNIEnv *env, const w2e_error &error) {
    jobject exception = object_of(
        env, "wav2edge/Wav2EdgeException", "(ILjava/lang/String;)V", static_cast<jint>(error.code),
        string_of(env, error.message));
    env->Throw(static_cast<jthrowable>(exception));
}

// An array whose items are made one by one; what an item needed besides itself is let go of before the next.
template <typename Item, typename Make>
jobjectArray array_of(JNIEnv *env, const char *type_name, const Item *items, size_t count, Make make) {
    jobjectArray array = env->NewObjectArray(static_cast<jsize>(count), env->FindClass(type_name), nullptr);
    for (size_t i = 0; array != nullptr && i < count; i++) {
        if (env->PushLocalFrame(32) != 0) return nullptr;
        jobject item = env->PopLocalFrame(make(env, items[i]));
        if (env->ExceptionCheck()) return nullptr;  // there was no memory for it
        env->SetObjectArrayElement(array, static_cast<jsize>(i), item);
        env->DeleteLocalRef(item);
    }
    return array;
}

jobject word_of(JNIEnv *env, const w2e_word &word) {
    return object_of(
        env, "wav2edge/Word", "(Ljava/lang/String;DDD)V", string_of(env, word.text), word.start_s, word.end_s,
        word.confidence);
}

jobject answer_of(JNIEnv *env, const w2e_answer &answer) {
    jobjectArray words = array_of(env, "wav2edge/Word", answer.words, answer.word_count, word_of);
    return object_of(
        env, "wav2edge/Answer", "(Ljava/lang/String;Ljava/lang/String;[Lwav2edge/Word;DDDZ)V",
        string_of(env, answer.text), string_of(env, answer.label), words, answer.start_s, answer.end_s,
        answer.confidence, static_cast<jboolean>(answer.rejected));
}

jobject event_of(JNIEnv *env, const w2e_event &event) {
    return object_of(
        env, "wav2edge/Event", "(Lwav2edge/Answer;ZILjava/lang/String;D)V", answer_of(env, event.answer),
        static_cast<jboolean>(event.type == W2E_FINAL), static_cast<jint>(event.stable_words),
        string_of(env, event.reason), event.latency_s);
}

jobjectArray events_of(JNIEnv *env, bool worked, const w2e_events &events, const w2e_error &error) {
    if (worked) return array_of(env, "wav2edge/Event", events.items, events.count, event_of);
    raise(env, error);
    return nullptr;
}

// The samples of a Kotlin array, copied or not, until it is destroyed.
class Samples {
  public:
    Samples(JNIEnv *env, jshortArray array)
        : env_(env), array_(array), samples_(env->GetShortArrayElements(array, nullptr)) {}
    Samples(const Samples &) = delete;
    Samples &operator=(const Samples &) = delete;
    ~Samples() {
        if (samples_ != nullptr) env_->ReleaseShortArrayElements(array_, samples_, JNI_ABORT);
    }
    w2e_pcm pcm(size_t frames, int rate_hz) const { return {samples_, frames, 1, W2E_S16, rate_hz}; }

  private:
    JNIEnv *env_;
    jshortArray array_;
    jshort *samples_;
};

}  // namespace

extern "C" {

JNIEXPORT jlong JNICALL
Java_wav2edge_Native_open(JNIEnv *env, jclass, jbyteArray folder, jbyteArray variant, jint threads) {
    w2e_options options = w2e_default_options();
    const std::string path = utf8(env, folder), name = variant == nullptr ? "" : utf8(env, variant);
    if (variant != nullptr) options.variant = name.c_str();
    options.threads = threads;
    w2e_error error;
    w2e_engine *engine = w2e_open(path.c_str(), &options, &error);
    if (engine == nullptr) raise(env, error);
    return reinterpret_cast<jlong>(engine);
}

JNIEXPORT void JNICALL Java_wav2edge_Native_close(JNIEnv *, jclass, jlong engine) { w2e_close(engine_of(engine)); }

JNIEXPORT jstring JNICALL Java_wav2edge_Native_variant(JNIEnv *env, jclass, jlong engine) {
    return string_of(env, w2e_variant(engine_of(engine)));
}

JNIEXPORT jobject JNICALL
Java_wav2edge_Native_run(JNIEnv *env, jclass, jlong engine, jshortArray samples, jint rate_hz) {
    const Samples held(env, samples);
    const w2e_pcm pcm = held.pcm(static_cast<size_t>(env->GetArrayLength(samples)), rate_hz);
    w2e_error error;
    const w2e_result *result = w2e_run_pcm(engine_of(engine), &pcm, &error);
    if (result != nullptr) return answer_of(env, result->answer);
    raise(env, error);
    return nullptr;
}

JNIEXPORT jobject JNICALL Java_wav2edge_Native_selfTest(JNIEnv *env, jclass, jlong engine) {
    w2e_error error;
    const w2e_self_test *test = w2e_run_self_test(engine_of(engine), &error);
    if (test != nullptr) {
        return object_of(
            env, "wav2edge/SelfTest", "(ZLjava/lang/String;DD)V", static_cast<jboolean>(test->passed),
            string_of(env, test->variant), test->difference, test->tolerance);
    }
    raise(env, error);
    return nullptr;
}

JNIEXPORT jlong JNICALL Java_wav2edge_Native_streamOpen(
    JNIEnv *env, jclass, jlong engine, jint rate_hz, jbyteArray kind, jint chunk_ms) {
    w2e_stream_options options = w2e_default_stream_options();
    const std::string name = utf8(env, kind);
    options.rate_hz = rate_hz;
    options.kind = name.c_str();
    options.chunk_ms = chunk_ms;
    w2e_error error;
    w2e_stream *stream = w2e_stream_open(engine_of(engine), &options, &error);
    if (stream == nullptr) raise(env, error);
    return reinterpret_cast<jlong>(stream);
}

JNIEXPORT jobjectArray JNICALL
Java_wav2edge_Native_streamFeed(JNIEnv *env, jclass, jlong stream, jshortArray samples, jint count) {
    const Samples held(env, samples);
    const w2e_pcm pcm = held.pcm(static_cast<size_t>(count), 0);  // the stream knows its rate
    w2e_events events;
    w2e_error error;
    const bool worked = w2e_stream_feed_pcm(stream_of(stream), &pcm, &events, &error);
    return events_of(env, worked, events, error);
}

JNIEXPORT jobjectArray JNICALL Java_wav2edge_Native_streamGap(JNIEnv *env, jclass, jlong stream, jdouble lost_s) {
    w2e_events events;
    w2e_error error;
    const bool worked = w2e_stream_gap(stream_of(stream), lost_s, &events, &error);
    return events_of(env, worked, events, error);
}

JNIEXPORT jobjectArray JNICALL Java_wav2edge_Native_streamFinish(JNIEnv *env, jclass, jlong stream) {
    w2e_events events;
    w2e_error error;
    const bool worked = w2e_stream_finish(stream_of(stream), &events, &error);
    return events_of(env, worked, events, error);
}

JNIEXPORT void JNICALL Java_wav2edge_Native_streamClose(JNIEnv *, jclass, jlong stream) {
    w2e_stream_close(stream_of(stream));
}

}  // extern "C"
