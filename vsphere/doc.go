// Package vsphere is everything SOAP: one vCenter as a pool of virtual machines needs it. [Client] has a verb for each thing that may
// be done to a machine, one listing that is complete or fails, and errors that carry a [Kind], so that nobody else knows SOAP.
//
// It decides nothing: no retries, no budgets, no policy, no memory of what was asked before. The actors do that. It is not a general
// client either: whatever a pool does not need is left out.
//
// # The mark
//
// A VM belongs to a pool if its extraConfig key vspherepool.mark says so and names the VM's own instance UUID (see [VM.Owned]). The
// mark is part of the clone spec, so a VM of ours never exists without it; a copy made by an administrator carries the mark but another
// UUID. The key does not start with guestinfo., because a guest can write those. vspherepool.status, beside it, keeps what users said
// of the machine.
//
// # Invariants
//
//   - Nothing is powered off, shut down, destroyed or marked unless the mark was read a moment before, by reference, and proves the VM
//     ours. Names prove nothing.
//   - Never touched: VMs without our mark (but by Claim, for attach), the template, other pools' VMs, disks outside the VM's own
//     directory, folders (one may be created, none is changed or removed), networks, datastores, roles, tags.
//   - An answer that hides a property, misses a page or comes without a session is an error. "Could not read" is never "not there".
//   - Absent means that vCenter answered ManagedObjectNotFound for that very reference.
//   - A call is repeated only if it was refused for want of a session, which vCenter does before it executes anything, or if not a byte
//     of it was sent. After any other network error nothing is repeated: the call may have had its effect, and only the caller knows
//     how to find out.
//   - A refused password is not sent again for three minutes, by whatever client, and never more than two wrong ones in a minute, so
//     that nobody's account gets locked. See [Connector].
//   - There is one login per lost session, at the same vCenter, and logins are spaced out where sessions end soon after them.
//   - There is one session, one goroutine that keeps it alive while nothing else does, one event collector and, while tasks are in
//     flight, one more goroutine, and one for each call that powers several VMs on. All end with Close.
//   - A forgotten task proves nothing of its work: the VM is looked at.
//   - A disk is known to be off a VM, by a reading after the detaching, before that VM is destroyed.
//
// # Following changes
//
// [Client.Sweep] is the truth: one RetrievePropertiesEx over the pool's folder. [Client.Hints] says where to look sooner, from one
// event history collector; losing all events costs latency only. Own operations are known from their tasks, which one poller watches.
// Property collector waits are not used: vcsim deadlocks under them, and on vCenter the sweep costs little.
//
// # Parts
//
// Which file decides what:
//
//	client, config, machine, mark           what others see: the client, its settings, VMs, and the proof whose they are
//	connector, dial, dialect                how vCenter is reached: certificates, proxies, the version of the API
//	session, account, guard, keepalive      when a session is renewed, with which password, and how seldom
//	faults, kind, failure, advice           what a SOAP fault means, and what a person is told to do; explain and labels add whose it is
//	collect                                 what an answer of the property collector proves
//	resolve, find, ancestors                from paths and ids to objects
//	placement                               the provisioning template, resolved, step by step in:
//	  shape, hosts, datastores, datastore_cluster, storage_policy, customization
//	spec, naming, guestinfo, cloudinit      the clone spec, and what the guest is told
//	clone, launcher, ledger, choose,        where a clone goes, what it was promised, and which place is not tried again
//	  footprint
//	poweron, poweron_together,              how power-ons are gathered, made by one call, followed, and made one by one
//	  poweron_trace, poweron_manner
//	ownership                               the proof before each change, and marks
//	power, question, destroy, disks         how a machine ends, and whose its disks are
//	task                                    the ends of all tasks
//	inventory, observe, ips, cards,         what VMs look like: listings, properties, addresses
//	  host_names
//	events, outcomes                        hints, and how customizations ended
//	doctor*, privileges                     what is checked before trouble, and the one table of privileges
//
// # Crash story
//
// Nothing here outlives the process but what is in vCenter: tasks run on, and Clones and Locate find them and their results again; the
// session expires after half an hour, and its event collector with it. A Destroy or a PowerOn that was cut short is simply repeated. A
// clone that was cut short has no VM, or one with its mark.
//
// # Assumed of vCenter
//
// What the simulator cannot confirm, and where it comes from:
//   - The clone spec's config takes instanceUuid, extraConfig, CPUs, memory, added and removed network cards and a larger disk:
//     cluster-api-provider-vsphere (pkg/services/govmomi/vcenter/clone.go) has done so for years, though the API reference prefers
//     location.deviceChange for devices. vCenter may replace the UUID on a conflict (API reference), hence the UUID in the mark.
//   - DuplicateName makes folder and name an atomic create-if-absent; it may come from the call or from the task.
//   - A reconfiguration with an outdated changeVersion fails with ConcurrentAccess (API reference; vic #6929). vcsim ignores it.
//   - The keyed path config.extraConfig["key"] can be read (vm-operator's watcher and nova do); an absent key is left out or reported
//     as InvalidProperty.
//   - Objects that do not exist are left out if reportMissingObjectsInResults is set (API reference); Read asks again for each of them.
//   - A linked clone's own disks lie in its own directory on the datastore of its spec, so that disks elsewhere are somebody else's.
//   - recentTask of the task manager has the clones of other sessions of the same account; it drops a task ten minutes after its end.
//   - NotAuthenticated is a fault of the call on vCenter, and a missingSet on vcsim; both are handled.
//   - Event types are matched exactly, so subtypes are listed one by one.
//   - guest.net's deviceConfigId is the key of the VM's own card, and negative for what is none (vm-operator, update_status.go); its
//     macAddress is the card's for addresses that count (cluster-api-provider-vsphere, pkg/util/machines.go). guest.ipAddress may come
//     before guest.net, or alone (cloud-provider-vsphere #390), and may be a container's.
//   - cloud-init writes guestinfo.local-ipv4 and -ipv6 at each boot (DataSourceVMware.py). A clone may inherit the template's, so
//     they count only while Tools run and no card shows an address.
//   - config.changeVersion changes whenever a network card is added, removed or changed (API reference).
//   - ManagedObjectNotFound names the object that is missing, in a fault as in a missingSet. One listing by folder may fail of a VM that is
//     being destroyed; the next does not.
//   - Each page of a listing has an object that no page before it had. A token may be used again.
//   - guest.customizationInfo exists from API 7.0.2.0 on (vim.vm.GuestInfo.CustomizationInfo); reading it before would fail the call.
//     A host older than that may leave it out under a newer vCenter, where the events tell.
//   - ReadNextEvents gives up to 1000 events; events of guest customizations come once, with the VM as their vm.
//   - A vCenter that has too many event collectors refuses another one with InvalidState, as vcsim does.
//   - An account is locked after five failed logins within three minutes (vCenter Single Sign-On's default policy).
//   - A login to a living session is refused as if the password were wrong (API reference: Login fails if the user is logged in), and
//     currentSession may be read by anybody, unlike SessionIsActive, which takes Sessions.ValidateSession (cluster-api-provider-vsphere
//     #1503).
//   - Any call keeps a session alive, and half an hour without one ends it (vpxd's default; william lam, 2022-10).
//   - NotAuthenticated for a session that vCenter knows is a missing privilege (govmomi #224: the type extends NoPermission).
//   - about.instanceUuid stays the same through upgrades and restores of one vCenter, and about.apiVersion is a version that it accepts
//     in a SOAPAction, as vimServiceVersions.xml lists it.
//   - FetchUserPrivilegeOnEntities needs System.View, counts the privileges of the user's groups, and answers for every entity, with an
//     empty list for one without a permission. openshift's problem detector (pkg/check/permissions.go) passes the user as configured,
//     we the userName of SessionManager.currentSession; if that form is not recognized, and the answer empty throughout, the session is
//     asked by its key. Which privileges a call takes: API reference, and "Required Privileges for Common Tasks" for AddNewDisk and for
//     PowerOn on the datacenter.
//   - The template of an image that never booted may show guestToolsNotInstalled, so that is no proof of missing tools.
//   - A datastore's free space may be half a minute old after an operation; a clone that failed leaves no files that count.
//   - A linked clone's new disks are made on the datastore of its spec, wherever the parents are (API reference,
//     createNewChildDiskBacking); the host must reach both.
//   - RecommendDatastores for a clone needs the pod, the source, the name, the folder and the clone spec, and nothing else (govc vm.clone,
//     terraform-provider-vsphere); its recommendations hold space until they are applied, cancelled or expired. vcsim wants a list of
//     placements too, which the simulator adds, and cannot cancel.
//   - A storage policy goes into location.profile for the VM's home and, disk by disk, into location.disk, where a missing diskMoveType
//     would mean a full copy (API reference, VirtualMachineRelocateSpecDiskLocator). The policy service (PBM) takes vCenter's session.
//   - A clone of a snapshot has the devices that the template had when it was taken (API reference, VirtualMachineCloneSpec).
//   - tpmProvisionPolicy exists from API 8.0.0.1 on, and older versions copy the TPM (API reference, VirtualMachineCloneSpec).
//   - A customization fails if the number of its adapters is not that of the VM's cards (NicSettingMismatch); Windows computer names are
//     cut to 15 characters.
//   - PowerOnVM_Task with a host keeps a machine there even where DRS is on; without one DRS may start it on any host of the cluster (API
//     reference).
//   - PowerOnMultiVM_Task begins nothing if it is refused, by the call or by its task. Where DRS is on it names no tasks of the VMs it
//     attempts (API reference, ClusterPowerOnVmResult); those are tasks of the VM, Drm.ExecuteVmPowerOnLRO or VirtualMachine.powerOn, in
//     its recentTask (inventories of task names list both), queued after the task for all. It may want Interact.PowerOn on the
//     datacenter ("Required Privileges for Common Tasks"). Applying a recommendation wants Host.Inventory.EditCluster, so the plain call
//     is made instead.
//   - Destroy_Task deletes every disk that is attached or held by a snapshot, whatever its directory, and no parent of a linked clone
//     (cloud-provider-vsphere #180, vic #2114). A snapshot's own config lists the disks as they were.
//   - The keys of the answers to msg.hbacommon.outofspace (0 retry, 1 cancel) and msg.cdromdisconnect.locked (0 yes) are as other clients
//     send them; the default of msg.uuid.altered is "copied". A question's message may be missing, then its id heads the text.
//   - A restarted vCenter has lost its tasks, and may answer for a moment before it knows everything: a task has to be missing twice.
//   - Versions: 6.7 and later, for config.createDate.
//   - GenericVmConfigFault at a power-on means a full datastore unless its cause says otherwise (bosh-vsphere-cpi-release); the causes in
//     NoCompatibleHost, one for each host, say what is missing (vm-operator, fault.go).
//   - ManagedObjectNotFound of a VM whose clone has just ended may pass (cluster-api-provider-vsphere #139).
//   - A clone that is cancelled by CancelTask leaves no VM, or one that a look-up finds.
package vsphere
