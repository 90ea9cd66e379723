package main

import "vspherepool/api"

// openAudit opens the audit log before there is anything to tell, and closes it after the last request.
func (d *daemon) openAudit() (*api.Audit, error) {
	if d.auditLog == "" {
		audit := api.NewAudit(d.log)
		d.undo.add("end audit", audit.Close)
		return audit, nil
	}
	audit, err := api.OpenAudit(d.auditLog, d.log)
	if err != nil {
		return nil, err
	}
	d.undo.add("close audit log", audit.Close)
	return audit, nil
}
