package cli

import (
	"bytes"
	"os"
	"testing"
)

// TestOnlyTheOperationsInUse: the program holds the operations of EC2 that it
// needs, and no other. All 700 of them would be half of its size, and power that
// nobody wants in a program that is allowed to change a network.
func TestOnlyTheOperationsInUse(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile(binary(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"DescribeNetworkAcls": true, "CreateNetworkAclEntry": true,
		"RunInstances": false, "AuthorizeSecurityGroupIngress": false, "DeleteVpc": false, "DeleteNetworkAcl": false} {
		if got := bytes.Contains(program, []byte("ec2.(*Client)."+name+"\x00")); got != want {
			t.Errorf("%s is in the program: %t", name, got)
		}
	}
}
