// Package tui shows walks: as a moving picture on a terminal (Run), and as
// labelled lines for everything else (Plain). Both draw from the same
// trace.Walk and ruleset.Ruleset values and say the same words, so they cannot
// disagree.
//
// The program is one tea.Model. Update changes it and does no I/O; View only
// reads it. A frame is drawn on a grid of cells by one component a file: the
// header, the topology line, the stage (the netfilter path of the node the
// packet is in), the panels for rules, packet and walks, and the footer. Where
// the packet is at any moment is a pure function of the player's place (walk,
// step and frame), so pausing, stepping and resizing need no care of their own.
//
// A lesson (Config.Session) adds a card, which holds what a step has to say, and
// takes the place of stage and panels where there is no room for both. What is
// on the card follows from the session's newest state, and from what the user
// has seen of its walks; a key sends an action to the session, or moves about
// (flow.go). A prompt on the last line takes commands.
//
// An answer (Why) stands where a lesson's card does. Its walks are a fixed set,
// with the packet at the step that decided until a key moves it; asking and
// mending are jobs of functions in WhyConfig, one at a time.
//
// Capturing packets, building the lab and playing the scenario is left to
// others: walks come in by a channel, and a request goes out by a function, both
// in Config, or both by the Session.
package tui
