import Foundation

/// A word with its times in seconds, on the clock of the clip or stream, and its confidence from 0 to 1.
struct Word {
    let text: String
    let startS: Double
    let endS: Double
    let confidence: Double

    init(_ word: w2e_word) {
        text = String(cString: word.text)
        startS = word.start_s
        endS = word.end_s
        confidence = word.confidence
    }
}

/// What was recognised. `text` or `label` is nil without such a head; both say nothing where it is `rejected`.
struct Answer {
    let text: String?
    let label: String?
    let words: [Word]
    let startS: Double
    let endS: Double
    let confidence: Double
    let rejected: Bool

    init(_ answer: w2e_answer) {
        text = answer.text.map { String(cString: $0) }
        label = answer.label.map { String(cString: $0) }
        words = UnsafeBufferPointer(start: answer.words, count: answer.word_count).map(Word.init)
        startS = answer.start_s
        endS = answer.end_s
        confidence = answer.confidence
        rejected = answer.rejected
    }
}

/// An answer of a stream. Of a partial one, the first `stableWords` do not change any more; a final one came after
/// silence, blank, length, gap or finish (`reason`), `latencyS` after its sound.
struct Event {
    let answer: Answer
    let isFinal: Bool
    let stableWords: Int
    let reason: String?
    let latencyS: Double

    init(_ event: w2e_event) {
        answer = Answer(event.answer)
        isFinal = event.type == W2E_FINAL
        stableWords = event.stable_words
        reason = event.reason.map { String(cString: $0) }
        latencyS = event.latency_s
    }
}

/// The largest difference from the outputs at the export, relative to the largest of them, and what is allowed.
struct SelfTest {
    let passed: Bool
    let variant: String
    let difference: Double
    let tolerance: Double

    init(_ test: w2e_self_test) {
        passed = test.passed
        variant = String(cString: test.variant)
        difference = test.difference
        tolerance = test.tolerance
    }
}

/// An error of the C core; `code` is 1 for sound, 2 for arguments, 3 for the bundle and ONNX Runtime.
struct Wav2EdgeError: LocalizedError {
    let code: Int32
    let errorDescription: String?

    init(_ error: w2e_error) {
        code = error.code
        errorDescription = withUnsafeBytes(of: error.message) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
