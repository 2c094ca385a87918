package digest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever a server sends, reading it does not panic, and what is selected can be answered so that a server
// understands the answer.
func FuzzParseChallenges(f *testing.F) {
	f.Add("Digest realm=\"r\", nonce=\"n\"\nBasic realm=\"b\"", `J"äs\øn`, "/?q=\"")
	f.Fuzz(func(t *testing.T, lines, username, uri string) {
		challenges, err := ParseChallenges(challengeHeader(strings.Split(lines, "\n")...))
		require.LessOrEqual(t, len(challenges), maxChallenges)
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "digest: "))
		}
		c, ok := Select(challenges)
		if !ok || username == "" || hasControl(username+uri) {
			return
		}
		s := newSession(c, username, "password", "cnonce")
		body := "body"
		p, err := parseAuthorization(s.authorization("POST", uri, hashHex(c.Algorithm, body)))
		require.NoError(t, err)
		assert.Equal(t, c.Realm, p["realm"])
		assert.Equal(t, c.Nonce, p["nonce"])
		assert.Equal(t, c.Opaque, p["opaque"])
		assert.Equal(t, c.Algorithm, p["algorithm"])
		assert.Equal(t, uri, p["uri"])
		assert.Equal(t, expectedResponse(p, username, "password", "POST", []byte(body)), p["response"])
		verifier := server{username: username, userhash: c.UserHash}
		assert.True(t, verifier.isUser(p), "user name %q became %q", username, p)
	})
}
