package api

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// What a user proves its name by.
const (
	PasswordUser    = "password"
	TokenUser       = "token"
	CertificateUser = "certificate"
)

// CertificateSecret is the secret of users who prove their name by a client certificate.
const CertificateSecret = "$x509"

const (
	tokenSecret = "$sha256$"
	// newCost is what bcrypt costs for a new password: about a quarter of a second of one CPU.
	newCost = 12
	// maxCost keeps a login below some seconds.
	maxCost = 15
	// maxPassword is what bcrypt takes account of, in bytes.
	maxPassword = 72
)

// bcryptHash has the prefixes of OpenBSD, PHP and htpasswd; $2x$ marks hashes of an implementation that was broken.
var bcryptHash = regexp.MustCompile(`^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$`)

// Kind is what the user proves its name by: [PasswordUser], [TokenUser] or [CertificateUser].
func (u User) Kind() string {
	switch {
	case u.Secret == CertificateSecret:
		return CertificateUser
	case strings.HasPrefix(u.Secret, tokenSecret):
		return TokenUser
	}
	return PasswordUser
}

func checkSecret(secret string) error {
	if secret == CertificateSecret {
		return nil
	}
	if _, ok := tokenHash(secret); ok {
		return nil
	}
	parts := bcryptHash.FindStringSubmatch(secret)
	if parts == nil {
		return fmt.Errorf("the secret must be a bcrypt hash as `htpasswd -B` writes it, %s and 64 hexadecimal digits, or %s",
			tokenSecret, CertificateSecret)
	}
	if cost, _ := strconv.Atoi(parts[1]); cost < bcrypt.MinCost || cost > maxCost {
		return fmt.Errorf("the cost of the bcrypt hash must be %d to %d: hash the password again with `htpasswd -B -C %d`",
			bcrypt.MinCost, maxCost, newCost)
	}
	return nil
}

// tokenHash is the SHA-256 of a token, or false for the secret of another kind of user.
func tokenHash(secret string) (hash [sha256.Size]byte, ok bool) {
	digits, ok := strings.CutPrefix(secret, tokenSecret)
	if !ok || len(digits) != hex.EncodedLen(len(hash)) {
		return hash, false
	}
	_, err := hex.Decode(hash[:], []byte(digits))
	return hash, err == nil
}

// HashPassword makes the secret of a user who logs in with a password. It refuses an empty one, and one that bcrypt would cut off.
func HashPassword(password string) (secret string, err error) {
	switch {
	case password == "":
		return "", errors.New("hash password: it must not be empty")
	case len(password) > maxPassword:
		return "", fmt.Errorf("hash password: it must not have more than %d bytes", maxPassword)
	case !printable(password):
		return "", errors.New("hash password: it must have no control characters")
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), newCost)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return string(hash), nil
}

// NewToken makes a bearer token of 256 random bits, and the secret that the users file has of it. Against that many bits nothing is won
// by guessing, so a plain hash is enough, where passwords need a slow one. The prefix lets scanners find tokens that were left lying about.
func NewToken() (token, secret string) {
	bits := make([]byte, 32)
	_, _ = rand.Read(bits) // never fails
	token = "vspherepool_" + base64.RawURLEncoding.EncodeToString(bits)
	hash := sha256.Sum256([]byte(token))
	return token, tokenSecret + hex.EncodeToString(hash[:])
}
