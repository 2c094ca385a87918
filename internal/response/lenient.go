package response

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// wholeNumber reads a JSON number without a fraction, or a string of digits.
func wholeNumber(raw json.RawMessage) (int64, bool) {
	text := string(bytes.TrimSpace(raw))
	if digits, quoted := unquote(text); quoted {
		if strings.Trim(digits, "0123456789") != "" {
			return 0, false
		}
		text = digits
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= math.MaxInt64 {
		return 0, false
	}
	return int64(f), true
}

// unquote returns what is between the quotes of a JSON string of digits.
func unquote(text string) (string, bool) {
	inner, left := strings.CutPrefix(text, `"`)
	inner, right := strings.CutSuffix(inner, `"`)
	return inner, left && right
}
