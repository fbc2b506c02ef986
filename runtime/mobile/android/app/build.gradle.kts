import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

val bundle = rootProject.file(property("wav2edge.bundle") as String)
check(bundle.resolve("manifest.json").isFile) { "$bundle is not a bundle; give -Pwav2edge.bundle=FOLDER" }

android {
    namespace = "wav2edge.sample"
    compileSdk = 36
    ndkVersion = "27.2.12479018"

    defaultConfig {
        applicationId = "wav2edge.sample"
        minSdk = 24
        targetSdk = 36
        versionCode = 1
        versionName = "0.1.0"
        buildConfigField("String", "VARIANT", "\"${property("wav2edge.variant")}\"")
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") } // phones, and the emulator
    }
    buildFeatures { buildConfig = true }
    externalNativeBuild {
        cmake {
            path = file("src/main/cpp/CMakeLists.txt")
            version = "3.22.1"
        }
    }
    sourceSets["main"].assets.srcDir(layout.buildDirectory.dir("bundle-assets"))
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
}

kotlin {
    compilerOptions { jvmTarget = JvmTarget.JVM_17 }
}

dependencies {
    // Only for libonnxruntime.so, which the C core opens when it is first used.
    implementation("com.microsoft.onnxruntime:onnxruntime-android:${property("wav2edge.onnxruntime")}")
}

val copyBundle = tasks.register<Copy>("copyBundle") {
    from(bundle)
    into(layout.buildDirectory.dir("bundle-assets/bundle"))
}

tasks.named("preBuild") { dependsOn(copyBundle) }
