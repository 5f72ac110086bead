//go:build !race

package inquire_test

const raced = false
