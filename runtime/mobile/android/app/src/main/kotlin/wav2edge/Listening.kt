package wav2edge

import java.util.concurrent.locks.ReentrantLock
import kotlin.concurrent.thread
import kotlin.concurrent.withLock

/**
 * Recognises sound in a thread of its own, so that who records never waits for an answer.
 *
 * What waits is bounded. When it is full, all of it is dropped, and the stream told of one gap: a gap ends an utterance,
 * so one long gap costs less than a short one after each block.
 *
 * @param stream what recognises; it is closed at the end.
 * @param rateHz samples per second.
 * @param onEvents gets what is new, in that thread.
 * @param onEnd is called there once at the end, with the error that ended it or null.
 */
class Listening(
    private val stream: Stream,
    private val rateHz: Int,
    private val onEvents: (List<Event>) -> Unit,
    private val onEnd: (Wav2EdgeException?) -> Unit
) {
    private val lock = ReentrantLock()
    private val changed = lock.newCondition()
    private var waiting = ArrayDeque<ShortArray>()
    private var waitingSamples = 0
    private var unsaidSamples = 0L
    private var lostSamples = 0L
    private var finished = false
    private val worker = thread(name = "wav2edge") { onEnd(recognize()) }

    /** Seconds of sound that were lost so far. */
    val lostS: Double get() = lock.withLock { lostSamples.toDouble() / rateHz }

    /** Adds a copy of the first [count] samples; never waits for an answer. */
    fun put(samples: ShortArray, count: Int = samples.size) = lock.withLock {
        if (waitingSamples > 0 && waitingSamples + count > LIMIT_S * rateHz) {
            unsaidSamples += waitingSamples
            lostSamples += waitingSamples
            waiting.clear()
            waitingSamples = 0
        }
        waiting.addLast(samples.copyOf(count))
        waitingSamples += count
        changed.signal()
    }

    /** Says that no sound follows, and waits until all of it is recognised. */
    fun finish() {
        lock.withLock {
            finished = true
            changed.signal()
        }
        worker.join()
    }

    private fun recognize(): Wav2EdgeException? = try {
        stream.use {
            while (true) {
                val (lost, block) = take() ?: break
                if (lost > 0) say(stream.gap(lost.toDouble() / rateHz))
                say(stream.feed(block))
            }
            say(stream.finish())
        }
        null
    } catch (error: Wav2EdgeException) {
        error
    }

    /** Samples that were lost before the next block, and that block; null after the last. */
    private fun take(): Pair<Long, ShortArray>? = lock.withLock {
        while (waiting.isEmpty() && !finished) changed.await()
        val block = waiting.removeFirstOrNull() ?: return null
        waitingSamples -= block.size
        val lost = unsaidSamples
        unsaidSamples = 0
        lost to block
    }

    private fun say(events: List<Event>) {
        if (events.isNotEmpty()) onEvents(events)
    }

    private companion object {
        /** Most sound that waits. */
        const val LIMIT_S = 10
    }
}
