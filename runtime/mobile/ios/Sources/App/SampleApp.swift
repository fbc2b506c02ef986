import SwiftUI

@main
struct SampleApp: App {
    var body: some Scene {
        WindowGroup {
            ListeningView()
        }
    }
}

/// Listens to the microphone, and shows the words: final ones in black, the latest in grey until they are final.
struct ListeningView: View {
    @StateObject private var recognizer = Recognizer()
    @Environment(\.scenePhase) private var phase

    var body: some View {
        VStack(alignment: .leading) {
            Text(recognizer.status).font(.footnote)
            ScrollView {
                VStack(alignment: .leading) {
                    ForEach(Array(recognizer.finals.enumerated()), id: \.offset) { Text($0.element) }
                    Text(recognizer.partial).foregroundStyle(.secondary)
                }
                .font(.title2)
                .frame(maxWidth: .infinity, alignment: .leading)
            }
            Button(recognizer.isListening ? "Stop" : "Listen") {
                if recognizer.isListening {
                    recognizer.stop()
                } else {
                    Task { await recognizer.start() }
                }
            }
            .buttonStyle(.borderedProminent)
            .disabled(!recognizer.isReady)
        }
        .padding()
        .task { await recognizer.load() }
        .onChange(of: phase) {
            if phase != .active { recognizer.stop() }
        }
    }
}
