// Package play runs a scenario: it builds the lab, traces it, leads through the
// steps, and holds the walks to what is expected of them. What a user sees of it
// is a State, and what a user can do an Action; drawing and printing are left to
// package tui.
package play
