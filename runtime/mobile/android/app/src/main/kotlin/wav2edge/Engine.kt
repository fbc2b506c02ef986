package wav2edge

/**
 * Recognises speech with a bundle. One thread at a time may use it; its streams may each be in another.
 *
 * @param folder the bundle: a folder of the file system, not of the app's assets.
 * @param variant one of its variants; its default where null.
 * @param threads per call; the physical cores where 0.
 * @throws Wav2EdgeException the bundle or ONNX Runtime cannot be used.
 */
class Engine(folder: String, variant: String? = null, threads: Int = 0) : AutoCloseable {
    private var handle = Native.open(folder.encodeToByteArray(), variant?.encodeToByteArray(), threads)

    /** The variant that is loaded. */
    val variant: String get() = Native.variant(opened())

    /** The answer to a clip; a recording is answered segment by segment, and then as one. */
    fun run(samples: ShortArray, rateHz: Int): Answer = Native.run(opened(), samples, rateHz)

    /** Recognises the bundle's golden input, and compares with what came out at its export. */
    fun selfTest(): SelfTest = Native.selfTest(opened())

    /**
     * Opens a stream, which must be closed before the engine.
     *
     * @param kind `auto`, `cached`, `two-pass` or `windowed`.
     * @param chunkMs from one answer to the next; the bundle's own where 0.
     */
    fun stream(rateHz: Int, kind: String = "auto", chunkMs: Int = 0): Stream =
        Stream(Native.streamOpen(opened(), rateHz, kind.encodeToByteArray(), chunkMs))

    override fun close() {
        Native.close(handle)
        handle = 0
    }

    private fun opened(): Long = handle.also { check(it != 0L) { "this engine is closed" } }
}

/** Recognises sound while it comes; see [Engine.stream]. */
class Stream internal constructor(private var handle: Long) : AutoCloseable {
    /** Takes the first [count] samples of a block of any length, and says what is new. */
    fun feed(samples: ShortArray, count: Int = samples.size): List<Event> {
        require(count in 0..samples.size) { "$count samples of a block of ${samples.size}" }
        return Native.streamFeed(opened(), samples, count).asList()
    }

    /** Says that so much sound was lost. */
    fun gap(lostS: Double): List<Event> = Native.streamGap(opened(), lostS).asList()

    /** Ends the stream, and says what is left to say. */
    fun finish(): List<Event> = Native.streamFinish(opened()).asList()

    override fun close() {
        Native.streamClose(handle)
        handle = 0
    }

    private fun opened(): Long = handle.also { check(it != 0L) { "this stream is closed" } }
}

/** A word with its times in seconds, on the clock of the clip or stream, and its confidence from 0 to 1. */
class Word(val text: String, val startS: Double, val endS: Double, val confidence: Double)

/** What was recognised. [text] or [label] is null without such a head; both say nothing where it is [rejected]. */
class Answer(
    val text: String?,
    val label: String?,
    words: Array<Word>,
    val startS: Double,
    val endS: Double,
    val confidence: Double,
    val rejected: Boolean
) {
    val words: List<Word> = words.asList()
}

/**
 * An answer of a stream. Of a partial one, the first [stableWords] do not change any more; a final one came after
 * silence, blank, length, gap or finish ([reason]), [latencyS] after its sound.
 */
class Event(val answer: Answer, val isFinal: Boolean, val stableWords: Int, val reason: String?, val latencyS: Double)

/** The largest difference from the outputs at the export, relative to the largest of them, and what is allowed. */
class SelfTest(val passed: Boolean, val variant: String, val difference: Double, val tolerance: Double)

/** An error of the C core; [code] is 1 for sound, 2 for arguments, 3 for the bundle and ONNX Runtime. */
class Wav2EdgeException(val code: Int, message: String) : Exception(message)
