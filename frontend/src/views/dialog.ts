/** A modal dialog that is there while something is open: focus goes into it, and back to where it was. */
import type { RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

export function useModal(open: boolean): RefObject<HTMLDialogElement | null> {
  const dialog = useRef<HTMLDialogElement>(null);
  const origin = useRef<{ element: Element | null; alert: string | undefined }>({ element: null, alert: undefined });
  // Not after the next frame, as an effect would be: by then a quick hand has moved the focus on.
  useLayoutEffect(() => {
    const box = dialog.current;
    if (!open || box === null) return;
    const element = document.activeElement;
    origin.current = { element, alert: element?.closest<HTMLElement>("[data-alert]")?.dataset.alert };
    if (!box.open) box.showModal();
    return () => {
      if (box.open) box.close();
      giveBack(origin.current);
    };
  }, [open]);
  return dialog;
}

/** To where the focus was; if that is gone, as an alert that has resolved meanwhile, to the panel of alerts. */
function giveBack({ element, alert }: { element: Element | null; alert: string | undefined }): void {
  const line = alert === undefined ? null : document.querySelector<HTMLElement>(`[data-alert="${alert}"] .alert-open`);
  const known = element?.isConnected && element !== document.body ? (element as HTMLElement) : null;
  (known ?? line ?? document.getElementById("alerts"))?.focus();
}
