package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"strings"
)

// algorithm is a hash function. A greater one is stronger.
type algorithm uint8

const (
	unsupported algorithm = iota
	algorithmMD5
	algorithmSHA256
	algorithmSHA512256
)

// maxHexLen is the length of the longest hash in hexadecimal digits.
const maxHexLen = 2 * sha512.Size256

// algorithmOf returns the algorithm that a challenge names, and whether it is the session variant.
func algorithmOf(name string) (a algorithm, session bool) {
	name, session = strings.CutSuffix(strings.ToUpper(name), "-SESS")
	switch name {
	case "MD5":
		return algorithmMD5, session
	case "SHA-256":
		return algorithmSHA256, session
	case "SHA-512-256":
		return algorithmSHA512256, session
	case "":
		if !session {
			return algorithmMD5, false
		}
	}
	return unsupported, false
}

// appendHex appends the hash of data in hexadecimal digits. It is a switch and not a table of functions because calls
// through a table move every buffer to the heap.
func (a algorithm) appendHex(dst, data []byte) []byte {
	switch a {
	case algorithmSHA512256:
		sum := sha512.Sum512_256(data)
		return hex.AppendEncode(dst, sum[:])
	case algorithmSHA256:
		sum := sha256.Sum256(data)
		return hex.AppendEncode(dst, sum[:])
	default:
		sum := md5.Sum(data)
		return hex.AppendEncode(dst, sum[:])
	}
}

// hex returns the hash of the parts with colons between them.
func (a algorithm) hex(parts ...string) string {
	return string(a.appendHex(nil, []byte(strings.Join(parts, ":"))))
}

// new returns a running hash, for data that does not fit into memory.
func (a algorithm) new() hash.Hash {
	switch a {
	case algorithmSHA512256:
		return sha512.New512_256()
	case algorithmSHA256:
		return sha256.New()
	default:
		return md5.New()
	}
}
