package android.app;

import android.content.Context;
import android.os.Bundle;
import android.view.View;

public class Activity extends Context {
    protected void onCreate(Bundle savedInstanceState) {}

    protected void onStart() {}

    protected void onStop() {}

    protected void onDestroy() {}

    public void onRequestPermissionsResult(int requestCode, String[] permissions, int[] grantResults) {}

    public void setContentView(int layoutResID) {}

    public <T extends View> T findViewById(int id) {
        return null;
    }

    public final void requestPermissions(String[] permissions, int requestCode) {}

    public final void runOnUiThread(Runnable action) {}
}
