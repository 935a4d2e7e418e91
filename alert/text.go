package alert

// Text is text that somebody outside wrote and that is safe to show: on a
// terminal, in a log, in a notification. Clean makes it, and so does decoding
// from JSON.
type Text string

// MaxText is the longest Text in runes; Clean cuts what is longer.
const MaxText = 512
