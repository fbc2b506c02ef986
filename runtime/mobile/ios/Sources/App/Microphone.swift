import AVFoundation

/// Records at the rate of the hardware; the C core resamples.
final class Microphone {
    private let audio = AVAudioEngine()
    private let format: AVAudioFormat

    /// Takes the microphone.
    ///
    /// - Throws: an error of AVFoundation where there is none, or another app has it.
    init() throws {
        let session = AVAudioSession.sharedInstance()
        try session.setCategory(.record, mode: .measurement) // without the system's processing
        try session.setActive(true)
        format = audio.inputNode.outputFormat(forBus: 0)
    }

    var rateHz: Double { format.sampleRate }

    /// `onBlock` gets the first channel, in a thread of the system.
    func start(onBlock: @escaping ([Float]) -> Void) throws {
        let frames = AVAudioFrameCount(rateHz / 50)
        audio.inputNode.installTap(onBus: 0, bufferSize: frames, format: format) { buffer, _ in
            guard let channels = buffer.floatChannelData else { return }
            onBlock(Array(UnsafeBufferPointer(start: channels[0], count: Int(buffer.frameLength))))
        }
        try audio.start()
    }

    func stop() {
        audio.stop()
        audio.inputNode.removeTap(onBus: 0)
        try? AVAudioSession.sharedInstance().setActive(false, options: .notifyOthersOnDeactivation)
    }
}
