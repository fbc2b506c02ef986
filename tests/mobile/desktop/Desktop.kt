package wav2edge.desktop

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import wav2edge.Answer
import wav2edge.Engine
import wav2edge.Event
import wav2edge.Listening
import wav2edge.Wav2EdgeException

/** Samples of 16 bits, mono at 16 kHz, without a header. */
private fun samples(path: String): ShortArray {
    val bytes = ByteBuffer.wrap(File(path).readBytes()).order(ByteOrder.LITTLE_ENDIAN).asShortBuffer()
    return ShortArray(bytes.remaining()).also { bytes.get(it) }
}

private fun fields(answer: Answer): List<Any?> = listOf(
    answer.text,
    answer.label,
    answer.startS,
    answer.endS,
    answer.confidence,
    answer.words.joinToString(" ") { "${it.text}@${it.startS}" }
)

private fun line(kind: String, vararg fields: Any?) = println(listOf(kind, *fields).joinToString("\t"))

private fun say(kind: String, event: Event) {
    if (event.isFinal) line(kind, *fields(event.answer).toTypedArray(), event.reason)
}

/** The whole of the sample but its microphone and its window: a line for each thing that it finds out. */
fun main(words: Array<String>) {
    val (bundle, clip, recording) = words
    Engine(bundle, threads = 1).use { engine ->
        val test = engine.selfTest()
        line("self test", test.passed, test.variant, test.difference, test.tolerance)
        line("clip", *fields(engine.run(samples(clip), 16_000)).toTypedArray())
        val sound = samples(recording)
        engine.stream(16_000).use { stream ->
            for (at in sound.indices step BLOCK) {
                stream.feed(sound.copyOfRange(at, minOf(at + BLOCK, sound.size))).forEach { say("stream", it) }
            }
            stream.finish().forEach { say("stream", it) }
        }
        val listening = Listening(
            engine.stream(16_000),
            16_000,
            onEvents = { events -> events.forEach { say("listening", it) } },
            onEnd = { error -> line("ended", error?.message) }
        )
        for (at in sound.indices step BLOCK) listening.put(sound.copyOfRange(at, minOf(at + BLOCK, sound.size)))
        listening.finish()
        line("lost", listening.lostS)
    }
    try {
        Engine("$bundle/none-😀")
    } catch (error: Wav2EdgeException) {
        line("error", error.code, error.message)
    }
}

private const val BLOCK = 800
