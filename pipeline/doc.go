// Package pipeline takes requests through steps: one request through the
// stages of a handler ([Run]), and one through a chain of 2 to 15 steps
// ([Chain]), each a container that is reached by HTTP, a command that is
// started and kept running, or a model in this process.
//
// The dispatch between stages lives here and not in a method of
// handler.Default: Go has no virtual calls, so a Default that called its own
// stages would never reach the ones that a user has overridden.
package pipeline
