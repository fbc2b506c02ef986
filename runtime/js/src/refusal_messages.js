// Written by runtime/generate_messages.py from runtime/messages.json: change that table.

/** Each message by its name: the class of its error, and its words with {placeholders}. */
export const MESSAGES = {
  bundle_unreadable: ["BundleError", "{path}: {reason}; check its permissions"],
  option_unknown: ["UsageError", "no option '{option}'; choose from {options}"],
  wav_unreadable: ["AudioError", "{name}: cannot be decoded ({reason}); it is cut off, damaged or not audio: copy it again, or convert it to WAV"],
  wav_truncated: ["AudioError", "{name}: truncated, the file ends after {seconds} s with audio still promised; copy or record it again"],
  queue_limit: ["UsageError", "a queue of {limit} s holds no sound; give more than 0 s"],
  silero_unreadable: ["UsageError", "{path}: {reason}; give the path of silero_vad.onnx"],
  silero_other: ["UsageError", "{path}: not Silero's graph, whose inputs are input, sr, state"],
  decoder_kind: ["UsageError", "a decoder is one of beam, grammar; got {got}"],
  decoder_options: ["UsageError", "the options of '{decoder}' are among {known}; got {got}"],
  decoder_option_value: ["UsageError", "the options of '{decoder}' are {options}: {reason}"],
  at_least_one: ["UsageError", "{option} is {value}; it must be at least 1"],
  beam_n_best: ["UsageError", "{n_best} best of a beam of {width}; make the beam as wide"],
  beam_weight: ["UsageError", "the weight of '{name}' is {weight}; give a finite number"],
  beam_lm_units: ["UsageError", "{option} is '{units}'; choose from words, tokens"],
  lm_no_delimiter: ["UsageError", "a model of words for a vocabulary without a word delimiter; use one of tokens"],
  lm_no_tokens: ["UsageError", "the language model knows none of the vocabulary's tokens; is it one of words?"],
  spell_unknown: ["UsageError", "'{text}': the vocabulary has no '{character}'; write it with {known}"],
  spell_empty: ["UsageError", "an empty phrase; give at least one word"],
  grammar_text: ["UsageError", "phrases is one text, '{phrases}'; give a list of phrases"],
  grammar_empty: ["UsageError", "a grammar without phrases; give at least one"],
  grammar_repeated: ["UsageError", "the phrase '{phrase}' stands in the grammar twice; leave one out"],
  grammar_least_fit: ["UsageError", "{option} is {value}; give a fit from 0 to 1"],
  lm_unreadable: ["DataError", "{path}: {reason}; give a language model in ARPA form"],
  lm_line: ["DataError", "{path}:{line}: {what}; {advice}"],
};
