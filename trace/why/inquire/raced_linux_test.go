//go:build race

package inquire_test

// raced says that the race detector watches: labs take some times as long then,
// and a part of them shows all that it can find. Without it, all are tried.
const raced = true
