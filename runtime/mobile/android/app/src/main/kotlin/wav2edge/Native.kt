package wav2edge

/** The functions of `wav2edge_jni.cpp`. Text goes in as UTF-8: JNI's own strings are a dialect of it. */
internal object Native {
    init {
        System.loadLibrary("wav2edge_jni")
    }

    @JvmStatic external fun open(folder: ByteArray, variant: ByteArray?, threads: Int): Long

    @JvmStatic external fun close(engine: Long)

    @JvmStatic external fun variant(engine: Long): String

    @JvmStatic external fun run(engine: Long, samples: ShortArray, rateHz: Int): Answer

    @JvmStatic external fun selfTest(engine: Long): SelfTest

    @JvmStatic external fun streamOpen(engine: Long, rateHz: Int, kind: ByteArray, chunkMs: Int): Long

    @JvmStatic external fun streamFeed(stream: Long, samples: ShortArray, count: Int): Array<Event>

    @JvmStatic external fun streamGap(stream: Long, lostS: Double): Array<Event>

    @JvmStatic external fun streamFinish(stream: Long): Array<Event>

    @JvmStatic external fun streamClose(stream: Long)
}
