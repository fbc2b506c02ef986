// Recognises WAV files in C++: raii BUNDLE CLIP.wav...

#include <iostream>

#include "wav2edge.hpp"

int main(int count, char **words)
{
    if (count < 3) {
        std::cerr << "usage: raii BUNDLE CLIP.wav...\n";
        return 2;
    }
    try {
        wav2edge::Engine engine(words[1]);
        for (int i = 2; i < count; i++) {
            const wav2edge::Result result = engine.run_file(words[i]);
            std::cout << result.text.value_or("") << '\t' << result.label.value_or("") << '\n';
        }
    } catch (const wav2edge::Error &error) {
        std::cerr << error.what() << '\n';
        return error.exit_code();
    }
    return 0;
}
