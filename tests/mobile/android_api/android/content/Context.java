package android.content;

import android.content.res.AssetManager;
import java.io.File;

public abstract class Context {
    public AssetManager getAssets() {
        return null;
    }

    public File getFilesDir() {
        return null;
    }

    public int checkSelfPermission(String permission) {
        return 0;
    }

    public final String getString(int resId, Object... formatArgs) {
        return null;
    }
}
