// Files of a node, over sftp behind the door.
import { Failure, failureOf, type Time } from './call';

export interface FolderEntry {
  name: string;
  kind: 'file' | 'folder' | 'link' | 'other';
  bytes: number;
  changed: Time;
}
export interface Folder {
  path: string;
  entries: FolderEntry[];
  /** Whether there are more than these. */
  more?: boolean;
}

const query = (node: string, login: string, path: string) => new URLSearchParams({ node, login, path }).toString();

export async function readFolder(node: string, login: string, path: string, signal?: AbortSignal): Promise<Folder> {
  const response = await fetch(`/v1/web/folder?${query(node, login, path)}`, { signal }).catch(() => {
    throw new Failure('offline');
  });
  if (!response.ok) throw await failureOf(response);
  return (await response.json()) as Folder;
}

export const fileAddress = (node: string, login: string, path: string) => `/v1/web/files?${query(node, login, path)}`;

/** Uploads with news of how far it is; `fetch` tells nothing of that. */
export function upload(
  node: string,
  login: string,
  path: string,
  file: File,
  progress: (sent: number) => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open('POST', fileAddress(node, login, path));
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onload = () => {
      if (request.status < 300) return done();
      void failureOf(new Response(request.responseText, { status: request.status })).then(fail);
    };
    request.onerror = () => fail(new Failure('offline'));
    request.onabort = () => fail(new Failure('conflict', 'Stopped.'));
    signal.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}
