//go:build !unix

package front

import "net"

// gone reports whether the client has closed the connection: only its next
// read or write can tell here.
func gone(net.Conn) bool { return false }
