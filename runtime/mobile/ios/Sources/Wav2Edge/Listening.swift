import Foundation

/// Recognises sound in a thread of its own, so that who records never waits for an answer.
///
/// What waits is bounded. When it is full, all of it is dropped, and the stream told of one gap: a gap ends an utterance,
/// so one long gap costs less than a short one after each block.
final class Listening {
    /// Most sound that waits.
    private static let limitS = 10.0

    private let stream: SpeechStream
    private let rateHz: Double
    private let onEvents: ([Event]) -> Void
    private let onEnd: (Error?) -> Void
    private let changed = NSCondition()
    private var waiting: [[Float]] = []
    private var waitingSamples = 0
    private var unsaidSamples = 0
    private var lostSamples = 0
    private var finished = false

    /// - Parameters:
    ///   - stream: what recognises.
    ///   - rateHz: samples per second.
    ///   - onEvents: gets what is new, in the thread that recognises.
    ///   - onEnd: is called there once at the end, with the error that ended it or nil.
    init(
        stream: SpeechStream,
        rateHz: Double,
        onEvents: @escaping ([Event]) -> Void,
        onEnd: @escaping (Error?) -> Void
    ) {
        self.stream = stream
        self.rateHz = rateHz
        self.onEvents = onEvents
        self.onEnd = onEnd
        let worker = Thread { self.recognize() }
        worker.name = "wav2edge"
        worker.qualityOfService = .userInitiated
        worker.start()
    }

    /// Seconds of sound that were lost so far.
    var lostS: Double {
        changed.lock()
        defer { changed.unlock() }
        return Double(lostSamples) / rateHz
    }

    /// Adds a block; never waits for an answer.
    func put(_ samples: [Float]) {
        changed.lock()
        defer { changed.unlock() }
        if waitingSamples > 0 && Double(waitingSamples + samples.count) > Self.limitS * rateHz {
            unsaidSamples += waitingSamples
            lostSamples += waitingSamples
            waiting.removeAll()
            waitingSamples = 0
        }
        waiting.append(samples)
        waitingSamples += samples.count
        changed.signal()
    }

    /// Says that no sound follows; `onEnd` is called when all of it is recognised.
    func finish() {
        changed.lock()
        defer { changed.unlock() }
        finished = true
        changed.signal()
    }

    private func recognize() {
        do {
            while let (lost, block) = take() {
                if lost > 0 { say(try stream.gap(lostS: Double(lost) / rateHz)) }
                say(try stream.feed(block))
            }
            say(try stream.finish())
            onEnd(nil)
        } catch {
            onEnd(error)
        }
    }

    /// Samples that were lost before the next block, and that block; nil after the last.
    private func take() -> (Int, [Float])? {
        changed.lock()
        defer { changed.unlock() }
        while waiting.isEmpty && !finished { changed.wait() }
        guard !waiting.isEmpty else { return nil }
        let block = waiting.removeFirst()
        waitingSamples -= block.count
        defer { unsaidSamples = 0 }
        return (unsaidSamples, block)
    }

    private func say(_ events: [Event]) {
        if !events.isEmpty { onEvents(events) }
    }
}
