// Written by runtime/generate_messages.py from runtime/messages.json: change that table.

/** By the class of an error its messages, by their names, with {placeholders}. */
export const MESSAGES = {
  BundleError: {
    bundle_unreadable: "{path}: {reason}; check its permissions",
    decoder_damaged: "{folder}: its decoder cannot be made, {reason}; export the bundle again",
  },
  UsageError: {
    reject_below: "answers below {confidence} cannot be rejected; give a confidence from 0 to 1",
    option_unknown: "no option '{option}'; choose from {options}",
    queue_limit: "a queue of {limit} s holds no sound; give more than 0 s",
    silero_unreadable: "{path}: {reason}; give the path of silero_vad.onnx",
    silero_other: "{path}: not Silero's graph, whose inputs are input, sr, state",
    decoder_kind: "a decoder is one of beam, grammar; got {got}",
    decoder_options: "the options of '{decoder}' are among {known}; got {got}",
    decoder_option_value: "the options of '{decoder}' are {options}: {reason}",
    at_least_one: "{option} is {value}; it must be at least 1",
    beam_n_best: "{n_best} best of a beam of {width}; make the beam as wide",
    beam_weight: "the weight of '{name}' is {weight}; give a finite number",
    beam_lm_units: "{option} is '{units}'; choose from words, tokens",
    lm_no_delimiter: "a model of words for a vocabulary without a word delimiter; use one of tokens",
    lm_no_tokens: "the language model knows none of the vocabulary's tokens; is it one of words?",
    spell_unknown: "'{text}': the vocabulary has no '{character}'; write it with {known}",
    spell_empty: "an empty phrase; give at least one word",
    grammar_text: "phrases is one text, '{phrases}'; give a list of phrases",
    grammar_empty: "a grammar without phrases; give at least one",
    grammar_repeated: "the phrase '{phrase}' stands in the grammar twice; leave one out",
    grammar_least_fit: "{option} is {value}; give a fit from 0 to 1",
  },
  AudioError: {
    wav_unreadable: "{name}: cannot be decoded ({reason}); it is cut off, damaged or not audio: copy it again, or convert it to WAV",
    wav_truncated: "{name}: truncated, the file ends after {seconds} s with audio still promised; copy or record it again",
  },
  DataError: {
    lm_unreadable: "{path}: {reason}; give a language model in ARPA form",
    lm_line: "{path}:{line}: {what}; {advice}",
  },
};
