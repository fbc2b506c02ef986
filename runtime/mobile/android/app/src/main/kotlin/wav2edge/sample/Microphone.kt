package wav2edge.sample

import android.annotation.SuppressLint
import android.media.AudioFormat
import android.media.AudioRecord
import android.media.MediaRecorder
import android.os.Process
import kotlin.concurrent.thread

/**
 * Records in a thread of its own until it is closed.
 *
 * @param onBlock gets a block and how many samples of it are sound, in that thread.
 * @param onGone is called there when the system takes the microphone away.
 */
class Microphone(private val onBlock: (ShortArray, Int) -> Unit, private val onGone: () -> Unit) : AutoCloseable {
    private val record = open()

    @Volatile private var closed = false
    private val worker = thread(name = "microphone") { record() }

    override fun close() {
        closed = true
        worker.join()
        record.release()
    }

    private fun record() {
        Process.setThreadPriority(Process.THREAD_PRIORITY_URGENT_AUDIO)
        val block = ShortArray(RATE_HZ / BLOCKS_PER_S)
        record.startRecording()
        while (!closed) {
            val count = record.read(block, 0, block.size)
            if (count < 0) { // an error code
                onGone()
                break
            }
            onBlock(block, count)
        }
        record.stop()
    }

    @SuppressLint("MissingPermission") // MainActivity asks for it
    private fun open(): AudioRecord {
        val format = AudioFormat.ENCODING_PCM_16BIT
        val leastBytes = AudioRecord.getMinBufferSize(RATE_HZ, AudioFormat.CHANNEL_IN_MONO, format)
        val source = MediaRecorder.AudioSource.VOICE_RECOGNITION // without the system's noise suppression
        val record = AudioRecord(source, RATE_HZ, AudioFormat.CHANNEL_IN_MONO, format, maxOf(leastBytes, RATE_HZ))
        check(record.state == AudioRecord.STATE_INITIALIZED) { "the microphone cannot be opened at $RATE_HZ Hz" }
        return record
    }

    companion object {
        /** What the model takes; Android resamples where the hardware has another rate. */
        const val RATE_HZ = 16_000
        private const val BLOCKS_PER_S = 50
    }
}
