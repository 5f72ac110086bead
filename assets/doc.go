// Package assets holds the data that is built into the program: the words of
// every language it speaks and the colours it draws with. What the words are
// said about, and where the colours go, is left to the packages that show them.
package assets
