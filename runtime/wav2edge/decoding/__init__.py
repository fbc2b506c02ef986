"""From logits to a result: CTC decoding, words with times, class scores."""
