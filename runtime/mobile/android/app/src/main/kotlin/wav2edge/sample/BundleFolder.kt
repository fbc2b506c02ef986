package wav2edge.sample

import android.content.Context
import java.io.File
import java.io.IOException

/** The bundle of the app's assets as a folder, since the C core maps its files into memory. */
object BundleFolder {
    private const val ASSETS = "bundle"
    private const val MANIFEST = "manifest.json"

    /** Copies the bundle unless it was copied before. The manifest is copied last, so a folder with one is whole. */
    fun of(context: Context): File {
        val folder = File(context.filesDir, ASSETS)
        val manifest = context.assets.open("$ASSETS/$MANIFEST").use { it.readBytes() }
        val copied = File(folder, MANIFEST)
        if (copied.isFile && copied.readBytes().contentEquals(manifest)) return folder
        folder.deleteRecursively()
        copy(context, ASSETS, folder)
        copied.writeBytes(manifest)
        return folder
    }

    private fun copy(context: Context, asset: String, target: File) {
        val names = context.assets.list(asset).orEmpty()
        if (names.isEmpty()) { // a file
            context.assets.open(asset).use { from -> target.outputStream().use { from.copyTo(it) } }
            return
        }
        if (!target.mkdirs() && !target.isDirectory) throw IOException("$target: cannot be made")
        for (name in names) if (name != MANIFEST) copy(context, "$asset/$name", File(target, name))
    }
}
