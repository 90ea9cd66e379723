package vsphere

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/vmware/govmomi/pbm"
	pbmtypes "github.com/vmware/govmomi/pbm/types"
	"github.com/vmware/govmomi/vim25/mo"
)

// choosePolicy resolves the storage policy. That the policy service does not answer keeps machines from being made and nothing else: it
// is a service of its own, beside vCenter's, so its failure is not an outage of vCenter.
func (c *Client) choosePolicy(ctx context.Context, p *placement, source mo.VirtualMachine) (err error) {
	if p.template.StoragePolicy == "" {
		return nil
	}
	for _, disk := range disksOf(source.Config.Hardware.Device) {
		p.disks = append(p.disks, disk.Key)
	}
	p.profile, err = c.policy(ctx, p.template.StoragePolicy)
	return err
}

// policy is the id of the storage policy with that name.
func (c *Client) policy(ctx context.Context, name string) (string, error) {
	profiles, err := c.policies(ctx)
	if err != nil {
		return "", unserved(name, err)
	}
	var names []string
	for _, profile := range profiles {
		p := profile.GetPbmProfile()
		if p.Name == name {
			return p.ProfileId.UniqueId, nil
		}
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return "", &Error{
		Op: "resolve storagePolicy", Object: name, Kind: Misconfigured, Err: errors.New("there is no storage policy of that name"),
		Hint: "choose one that the account may see: " + strings.Join(names, ", "),
	}
}

func (c *Client) policies(ctx context.Context) ([]pbmtypes.BasePbmProfile, error) {
	if c.vim.Client == nil {
		return nil, errors.New("this client does not speak HTTP")
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	service, err := pbm.NewClient(ctx, c.vim)
	if err != nil {
		return nil, err
	}
	ids, err := service.QueryProfile(ctx, pbmtypes.PbmProfileResourceType{
		ResourceType: string(pbmtypes.PbmProfileResourceTypeEnumSTORAGE),
	}, string(pbmtypes.PbmProfileCategoryEnumREQUIREMENT))
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return service.RetrieveContent(ctx, ids)
}

// unserved is the error of a policy service that could not be asked.
func unserved(name string, err error) error {
	var e *Error
	if errors.As(wrap("resolve storagePolicy", name, err), &e) && e.Kind == Forbidden {
		e.Hint = "grant the account StorageProfile.View on the root of vCenter's inventory, or leave storagePolicy out"
		return e
	}
	return &Error{
		Op: "resolve storagePolicy", Object: name, Kind: Storage, Err: err,
		Hint: "vCenter's storage policy service (PBM) does not answer: see its state in vCenter's management, or leave storagePolicy out",
	}
}
