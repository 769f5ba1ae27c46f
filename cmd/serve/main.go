// Serve is Clary's model server with the default handler.
package main

import (
	"github.com/claryhq/clary"
	"github.com/claryhq/clary/handler"
)

func main() { clary.Main(handler.Default{}) }
