import AVFoundation

/// What the view shows and does: loads the bundle, listens, and collects the words.
@MainActor
final class Recognizer: ObservableObject {
    @Published private(set) var status = "Loading the bundle…"
    @Published private(set) var finals: [String] = []
    @Published private(set) var partial = ""
    @Published private(set) var isReady = false
    @Published private(set) var isListening = false

    private var engine: Engine?
    private var microphone: Microphone?
    private var listening: Listening?

    func load() async {
        guard engine == nil, let folder = Bundle.main.url(forResource: "bundle", withExtension: nil) else { return }
        do {
            let (loaded, test) = try await Task.detached {
                let engine = try Engine(folder: folder)
                return (engine, try engine.selfTest())
            }.value
            engine = loaded
            isReady = test.passed
            let verdict = test.passed ? "is ready: its golden input is recognised" : "differs from its export:"
            status = String(
                format: "%@ %@ within %.1e (%.1e allowed)", test.variant, verdict, test.difference, test.tolerance)
        } catch {
            status = error.localizedDescription
        }
    }

    func start() async {
        guard let engine, !isListening else { return }
        guard await AVAudioApplication.requestRecordPermission() else {
            status = "Without the microphone there is nothing to recognise"
            return
        }
        do {
            let microphone = try Microphone()
            let rateHz = microphone.rateHz
            let stream = try await Task.detached { try engine.stream(rateHz: Int32(rateHz)) }.value
            let listening = Listening(
                stream: stream,
                rateHz: rateHz,
                onEvents: { events in Task { @MainActor in events.forEach(self.show) } },
                onEnd: { error in Task { @MainActor in self.ended(error) } })
            try microphone.start(onBlock: listening.put)
            self.microphone = microphone
            self.listening = listening
            isListening = true
        } catch {
            status = error.localizedDescription
        }
    }

    func stop() {
        microphone?.stop()
        microphone = nil
        listening?.finish()
        isListening = false
    }

    private func ended(_ error: Error?) {
        if let error {
            status = error.localizedDescription
            stop()
        } else if let lostS = listening?.lostS, lostS > 0 {
            status = String(format: "This phone is too slow for the bundle: %.1f s of sound were lost", lostS)
        }
        listening = nil
    }

    private func show(_ event: Event) {
        let words = [event.answer.text, event.answer.label.map { "[\($0)]" }].compactMap { $0 }.joined(separator: " ")
        partial = event.isFinal ? "" : words
        if event.isFinal && !words.isEmpty { finals.append(words) }
    }
}
