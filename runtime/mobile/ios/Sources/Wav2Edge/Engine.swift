import Foundation

/// Recognises speech with a bundle. One thread at a time may use it; its streams may each be in another.
final class Engine {
    private let handle: OpaquePointer

    /// - Parameters:
    ///   - folder: the bundle.
    ///   - variant: one of its variants; its default where nil.
    ///   - threads: per call; the physical cores where 0.
    /// - Throws: `Wav2EdgeError` where the bundle or ONNX Runtime cannot be used.
    init(folder: URL, variant: String? = nil, threads: Int32 = 0) throws {
        var options = w2e_default_options()
        options.threads = threads
        var error = w2e_error()
        let name = variant.flatMap { strdup($0) }
        defer { free(name) }
        options.variant = UnsafePointer(name)
        guard let opened = w2e_open(folder.path, &options, &error) else { throw Wav2EdgeError(error) }
        handle = opened
    }

    deinit {
        w2e_close(handle)
    }

    /// Recognises the bundle's golden input, and compares with what came out at its export.
    func selfTest() throws -> SelfTest {
        var error = w2e_error()
        guard let test = w2e_run_self_test(handle, &error) else { throw Wav2EdgeError(error) }
        return SelfTest(test.pointee)
    }

    /// Opens a stream, which keeps the engine open.
    ///
    /// - Parameters:
    ///   - kind: `auto`, `cached`, `two-pass` or `windowed`.
    ///   - chunkMs: from one answer to the next; the bundle's own where 0.
    func stream(rateHz: Int32, kind: String = "auto", chunkMs: Int32 = 0) throws -> SpeechStream {
        var options = w2e_default_stream_options()
        options.rate_hz = rateHz
        options.chunk_ms = chunkMs
        var error = w2e_error()
        let opened = kind.withCString { name in
            options.kind = name
            return w2e_stream_open(handle, &options, &error)
        }
        guard let opened else { throw Wav2EdgeError(error) }
        return SpeechStream(opened, of: self)
    }
}

/// Recognises sound while it comes; see `Engine.stream`.
final class SpeechStream {
    private let handle: OpaquePointer
    private let engine: Engine

    fileprivate init(_ handle: OpaquePointer, of engine: Engine) {
        self.handle = handle
        self.engine = engine
    }

    deinit {
        w2e_stream_close(handle)
    }

    /// Takes a block of any length, and says what is new.
    func feed(_ samples: [Float]) throws -> [Event] {
        try events { w2e_stream_feed(handle, samples, samples.count, $0, $1) }
    }

    /// Says that so much sound was lost.
    func gap(lostS: Double) throws -> [Event] {
        try events { w2e_stream_gap(handle, lostS, $0, $1) }
    }

    /// Ends the stream, and says what is left to say.
    func finish() throws -> [Event] {
        try events { w2e_stream_finish(handle, $0, $1) }
    }

    private func events(
        _ call: (UnsafeMutablePointer<w2e_events>, UnsafeMutablePointer<w2e_error>) -> Bool
    ) throws -> [Event] {
        var found = w2e_events()
        var error = w2e_error()
        guard call(&found, &error) else { throw Wav2EdgeError(error) }
        return UnsafeBufferPointer(start: found.items, count: found.count).map(Event.init)
    }
}
