package wav2edge.sample

import android.Manifest.permission.RECORD_AUDIO
import android.app.Activity
import android.content.pm.PackageManager.PERMISSION_GRANTED
import android.os.Bundle
import android.widget.Button
import android.widget.TextView
import java.util.concurrent.Executors
import wav2edge.Engine
import wav2edge.Event
import wav2edge.Listening
import wav2edge.Wav2EdgeException

/** Listens to the microphone, and shows the words: final ones in black, the latest in grey until they are final. */
class MainActivity : Activity() {
    private val background = Executors.newSingleThreadExecutor()
    private var engine: Engine? = null
    private var listening: Listening? = null
    private var microphone: Microphone? = null
    private var visible = false
    private val status: TextView by lazy { findViewById(R.id.status) }
    private val finals: TextView by lazy { findViewById(R.id.finals) }
    private val partial: TextView by lazy { findViewById(R.id.partial) }
    private val button: Button by lazy { findViewById(R.id.listen) }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.main)
        button.setOnClickListener { if (microphone == null) start() else stop() }
        background.execute { load() }
    }

    override fun onStart() {
        super.onStart()
        visible = true
    }

    override fun onStop() {
        visible = false
        stop()
        super.onStop()
    }

    override fun onDestroy() {
        background.execute { engine?.close() }
        background.shutdown()
        super.onDestroy()
    }

    override fun onRequestPermissionsResult(requestCode: Int, permissions: Array<out String>, results: IntArray) {
        super.onRequestPermissionsResult(requestCode, permissions, results)
        if (results.firstOrNull() == PERMISSION_GRANTED) start() else status.setText(R.string.no_microphone)
    }

    private fun load() {
        try {
            val loaded = Engine(BundleFolder.of(this).path, BuildConfig.VARIANT.ifEmpty { null })
            val test = loaded.selfTest()
            val verdict = if (test.passed) R.string.ready else R.string.differs
            runOnUiThread {
                engine = loaded
                status.text = getString(verdict, test.variant, test.difference, test.tolerance)
                button.isEnabled = test.passed
            }
        } catch (error: Wav2EdgeException) {
            tell(error)
        }
    }

    private fun tell(error: Wav2EdgeException) = runOnUiThread { status.text = error.message }

    private fun start() {
        if (checkSelfPermission(RECORD_AUDIO) != PERMISSION_GRANTED) {
            requestPermissions(arrayOf(RECORD_AUDIO), 0)
            return
        }
        button.isEnabled = false
        background.execute {
            try {
                listen(opened())
            } catch (error: Wav2EdgeException) {
                tell(error)
            }
            runOnUiThread { button.isEnabled = true }
        }
    }

    private fun opened(): Listening {
        val stream = checkNotNull(engine).stream(Microphone.RATE_HZ)
        return Listening(
            stream,
            Microphone.RATE_HZ,
            onEvents = { events -> runOnUiThread { events.forEach(::show) } },
            onEnd = { error -> error?.let(::tell) }
        )
    }

    private fun listen(running: Listening) = runOnUiThread {
        listening = running
        if (visible) {
            microphone = Microphone(running::put, onGone = { runOnUiThread { stop() } })
            button.setText(R.string.stop)
        } else {
            stop() // it was left while the stream was opened
        }
    }

    private fun stop() {
        microphone?.close()
        microphone = null
        val running = listening ?: return
        listening = null
        button.setText(R.string.listen)
        background.execute {
            running.finish()
            val lostS = running.lostS
            if (lostS > 0) runOnUiThread { status.text = getString(R.string.lost, lostS) }
        }
    }

    private fun show(event: Event) {
        val words = listOfNotNull(event.answer.text, event.answer.label?.let { "[$it]" }).joinToString(" ")
        if (event.isFinal) {
            if (words.isNotBlank()) finals.append("$words\n")
            partial.text = ""
        } else {
            partial.text = words
        }
    }
}
