package wav2edge.sample;

/** Gradle writes it. */
public final class BuildConfig {
    public static final String VARIANT = "";
}
