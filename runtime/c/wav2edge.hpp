/*
 * wav2edge.h for C++17: engines and streams that close themselves, and errors as exceptions.
 *
 *     wav2edge::Engine engine("bundle");
 *     wav2edge::Result result = engine.run_file("clip.wav");
 *     std::cout << result.text.value_or("") << '\n';
 *
 * What is returned is a copy, and stays. Options are those of wav2edge.h: w2e_options and w2e_stream_options.
 */
#ifndef WAV2EDGE_HPP
#define WAV2EDGE_HPP

#include "wav2edge.h"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace wav2edge
{

/* What all errors have in common: the words are those of the Python package. */
class Error : public std::runtime_error
{
public:
    explicit Error(const w2e_error &error) : std::runtime_error(error.message), exit_code_(error.code) {}

    /* Exit code of a command that the error ends: 1 audio, 2 usage, 3 bundle or device. */
    int exit_code() const noexcept { return exit_code_; }

private:
    int exit_code_;
};

class AudioError : public Error
{
    using Error::Error;
};

class UsageError : public Error
{
    using Error::Error;
};

class BundleError : public Error
{
    using Error::Error;
};

class DeviceError : public Error
{
    using Error::Error;
};

[[noreturn]] inline void raise(const w2e_error &error)
{
    switch (error.kind) {
    case W2E_AUDIO_ERROR: throw AudioError(error);
    case W2E_USAGE_ERROR: throw UsageError(error);
    case W2E_BUNDLE_ERROR: throw BundleError(error);
    case W2E_DEVICE_ERROR: break;
    }
    throw DeviceError(error);
}

struct Word {
    std::string text;
    double start_s, end_s, confidence;
};

struct FrameLabel {
    std::string label;
    double start_s, end_s, confidence;
};

/* See w2e_answer. Fields of heads that the model lacks have no value. */
struct Answer {
    std::optional<std::string> text, label;
    std::optional<std::vector<Word>> words;
    std::vector<std::pair<std::string, double>> scores;
    std::optional<std::vector<FrameLabel>> frame_labels;
    std::vector<float> embedding;
    double start_s = 0, end_s = 0, confidence = 1;
    bool rejected = false;

    explicit Answer(const w2e_answer &answer)
        : start_s(answer.start_s), end_s(answer.end_s), confidence(answer.confidence), rejected(answer.rejected)
    {
        if (answer.text) text = answer.text;
        if (answer.label) label = answer.label;
        if (answer.words) words.emplace();
        for (std::size_t i = 0; i < answer.word_count; i++) {
            const w2e_word &word = answer.words[i];
            words->push_back({word.text, word.start_s, word.end_s, word.confidence});
        }
        for (std::size_t i = 0; i < answer.score_count; i++)
            scores.emplace_back(answer.scores[i].label, answer.scores[i].probability);
        if (answer.frame_labels) frame_labels.emplace();
        for (std::size_t i = 0; i < answer.frame_label_count; i++) {
            const w2e_frame_label &each = answer.frame_labels[i];
            frame_labels->push_back({each.label, each.start_s, each.end_s, each.confidence});
        }
        if (answer.embedding) embedding.assign(answer.embedding, answer.embedding + answer.embedding_size);
    }
};

/* See w2e_result. */
struct Result : Answer {
    double duration_s;
    std::optional<std::vector<Answer>> segments;
    std::vector<std::string> warnings;

    explicit Result(const w2e_result &result) : Answer(result.answer), duration_s(result.duration_s)
    {
        if (result.segments) segments.emplace();
        for (std::size_t i = 0; i < result.segment_count; i++) segments->emplace_back(result.segments[i]);
        for (std::size_t i = 0; i < result.warning_count; i++) warnings.emplace_back(result.warnings[i]);
    }
};

/* See w2e_event. */
struct Event : Answer {
    bool final;
    std::size_t stable_words;
    std::string reason;
    double latency_s;

    explicit Event(const w2e_event &event)
        : Answer(event.answer), final(event.type == W2E_FINAL), stable_words(event.stable_words),
          reason(event.reason ? event.reason : ""), latency_s(event.latency_s)
    {
    }
};

/* See w2e_stream. Make one with Engine::stream; the engine must outlive it. */
class Stream
{
public:
    Stream(w2e_engine *engine, const w2e_stream_options &options)
    {
        w2e_error error;
        stream_.reset(w2e_stream_open(engine, &options, &error));
        if (!stream_) raise(error);
    }

    std::vector<Event> feed(const float *samples, std::size_t count)
    {
        return call([&](w2e_events *events, w2e_error *error) {
            return w2e_stream_feed(stream_.get(), samples, count, events, error);
        });
    }

    std::vector<Event> feed(const std::vector<float> &samples) { return feed(samples.data(), samples.size()); }

    std::vector<Event> feed(const w2e_pcm &pcm)
    {
        return call([&](w2e_events *events, w2e_error *error) {
            return w2e_stream_feed_pcm(stream_.get(), &pcm, events, error);
        });
    }

    std::vector<Event> gap(double lost_s)
    {
        return call(
            [&](w2e_events *events, w2e_error *error) { return w2e_stream_gap(stream_.get(), lost_s, events, error); });
    }

    std::vector<Event> finish()
    {
        return call(
            [&](w2e_events *events, w2e_error *error) { return w2e_stream_finish(stream_.get(), events, error); });
    }

    double clock_s() const { return w2e_stream_clock_s(stream_.get()); }
    bool speaking() const { return w2e_stream_speaking(stream_.get()); }
    double level_dbfs() const { return w2e_stream_level_dbfs(stream_.get()); }
    double compute_s() const { return w2e_stream_compute_s(stream_.get()); }

private:
    struct Close {
        void operator()(w2e_stream *stream) const { w2e_stream_close(stream); }
    };

    template <typename Function> static std::vector<Event> call(Function function)
    {
        w2e_events events;
        w2e_error error;
        if (!function(&events, &error)) raise(error);
        std::vector<Event> found;
        for (std::size_t i = 0; i < events.count; i++) found.emplace_back(events.items[i]);
        return found;
    }

    std::unique_ptr<w2e_stream, Close> stream_;
};

/* See w2e_engine. */
class Engine
{
public:
    explicit Engine(const std::string &bundle, const w2e_options &options = w2e_default_options())
    {
        w2e_error error;
        engine_.reset(w2e_open(bundle.c_str(), &options, &error));
        if (!engine_) raise(error);
    }

    Result run(const float *samples, std::size_t count, int rate_hz)
    {
        w2e_error error;
        return made(w2e_run(engine_.get(), samples, count, rate_hz, &error), error);
    }

    Result run(const std::vector<float> &samples, int rate_hz) { return run(samples.data(), samples.size(), rate_hz); }

    Result run(const w2e_pcm &pcm)
    {
        w2e_error error;
        return made(w2e_run_pcm(engine_.get(), &pcm, &error), error);
    }

    Result run_file(const std::string &path)
    {
        w2e_error error;
        return made(w2e_run_file(engine_.get(), path.c_str(), &error), error);
    }

    /* Whether the golden input gives here what it gave at the export. */
    bool self_test()
    {
        w2e_error error;
        const w2e_self_test *test = w2e_run_self_test(engine_.get(), &error);
        if (!test) raise(error);
        return test->passed;
    }

    Stream stream(const w2e_stream_options &options = w2e_default_stream_options())
    {
        return Stream(engine_.get(), options);
    }

    std::string variant() const { return w2e_variant(engine_.get()); }
    std::string runtime_version() const { return w2e_runtime_version(engine_.get()); }

private:
    struct Close {
        void operator()(w2e_engine *engine) const { w2e_close(engine); }
    };

    static Result made(const w2e_result *result, const w2e_error &error)
    {
        if (!result) raise(error);
        return Result(*result);
    }

    std::unique_ptr<w2e_engine, Close> engine_;
};

} // namespace wav2edge

#endif
